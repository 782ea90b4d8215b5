"""One real result of each command that is about injection."""

from __future__ import annotations

from typing import Any, Final

from nksmesh.commands.canary.relabelling import Move
from nksmesh.commands.inject import InjectionStatus, InjectPlan, InjectResult
from nksmesh.domain.injection.place import Place
from nksmesh.domain.injection.workloads import judge_namespace, missing_pull_secrets
from nksmesh.domain.kube.workloads import Listed
from tests.unit.fakes.canaries import deployment, namespace
from tests.unit.fakes.injectors import injector

from .canary_samples import CART, ENABLED, PROXY, RESTARTS

_PLAN: Final[dict[str, Any]] = {"mesh": "istio-system", "version": "1.20.1"}
ENABLING: Final = InjectPlan(
    **_PLAN,
    on=True,
    istio_revision="default",
    proxy_image=f"{PROXY}:1.20.1",
    moves=(
        Move(namespace="shop", before={"istio.io/rev": "1-22-8"}, after=ENABLED, workloads=(CART,)),
        Move(namespace="pay", before=ENABLED, after=ENABLED),
    ),
)
DISABLING: Final = InjectPlan(
    **_PLAN,
    on=False,
    istio_revision="",
    proxy_image="",
    moves=(Move(namespace="shop", before=ENABLED, after={}),),
    waiting=(CART,),
)


def _status() -> InjectionStatus:
    till = deployment("till", "shop", "default")
    till[1]["spec"]["containers"] = [{"name": "app", "image": "app:1"}]
    items = [*deployment("cart", "shop", "default"), *till]
    listed = Listed(
        pods=[item for item in items if item["kind"] == "Pod"],
        owners=[item for item in items if item["kind"] == "Deployment"],
    )
    shop = Place(name="shop", labels=ENABLED, injectors=(injector(),))
    none = Place(name="none", labels={}, injectors=(injector(),))
    return InjectionStatus(
        namespaces=(
            missing_pull_secrets(judge_namespace(namespace("shop", istio_injection="enabled"), shop, listed), ["ncr"]),
            judge_namespace(namespace("none"), none, Listed()),
        )
    )


INJECT_SAMPLES: Final = {
    "inject enable": InjectResult(plan=ENABLING, moved=("shop",), restarts=RESTARTS),
    "inject disable": InjectResult(plan=DISABLING, moved=("shop",)),
    "inject status": _status(),
}
MORE_INJECT_SAMPLES: Final = {
    "inject enable, asked": ENABLING,
    "inject enable, declined": InjectResult(plan=ENABLING, agreed=False),
    "inject disable, asked": DISABLING,
    "inject status, none": InjectionStatus(namespaces=()),
}
