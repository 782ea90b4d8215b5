"""One real result of each command that is about Istio revisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from nksmesh.commands.canary.move import MovePlan, MoveResult
from nksmesh.commands.canary.plan import CanaryPlan, CanaryResult
from nksmesh.commands.canary.relabelling import Move
from nksmesh.commands.canary.start import StartResult
from nksmesh.commands.canary.status import CanaryStatus, NamespaceStatus
from nksmesh.commands.install import InstallResult
from nksmesh.commands.tag import Tag, TagsResult
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.record import Canary
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.executor.step_context import Progress

PROXY: Final = "registry.example.com/istio/proxyv2"
ENABLED: Final = {"istio-injection": "enabled"}
MOVED: Final = {"istio.io/rev": "1-22-8"}


def _workload(name: str, revision: str, version: str, namespace: str = "shop") -> Workload:
    return Workload(
        namespace=namespace,
        kind="Deployment",
        name=name,
        pods=2,
        proxies=(f"{PROXY}:{version}",),
        istio_revisions=(revision,),
        restartable=True,
    )


CART: Final = _workload("cart", "1-22-8", "1.22.8")
INGRESS: Final = _workload("istio-ingressgateway", "default", "1.20.1", "istio-system")
STATUS: Final = CanaryStatus(
    namespace="istio-system",
    istio_revision="default",
    version="1.20.1",
    canary=Canary(
        settings=Recorded(version="1.22.8"),
        release=Release(component="istiod", name="istiod-1-22-8", namespace="istio-system", istio_revision="1-22-8"),
    ),
    gateways=(INGRESS,),
    namespaces=(
        NamespaceStatus(
            name="shop",
            labels=MOVED,
            follows="1-22-8",
            moved=True,
            workloads=(CART, _workload("[till]", "1-22-8", "1.22.8")),
        ),
        NamespaceStatus(name="pay", labels=ENABLED, follows="default", moved=False),
        NamespaceStatus(
            name="own", labels={}, follows="", moved=False, workloads=(_workload("own", "default", "1.20.1", "own"),)
        ),
    ),
)
MOVE: Final = MovePlan(
    mesh="istio-system",
    istio_revision="1-22-8",
    version="1.22.8",
    proxy_image=f"{PROXY}:1.22.8",
    moves=(Move(namespace="shop", before=ENABLED, after=MOVED, workloads=(CART,)),),
    passed_over=("namespace own follows no istiod of this mesh (no injection label)",),
)
RESTARTS: Final = RestartResult(
    restarts=(
        Restart(workload=CART, outcome=Outcome.RESTARTED, message=f"2 pods on {PROXY}:1.22.8", seconds=1.84),
        Restart(workload=INGRESS, outcome=Outcome.HELD_BACK, message="its disruption budget allows none"),
    )
)
PROMOTION: Final = CanaryPlan(
    promote=True, status=STATUS, staying="istiod-1-22-8", going="istiod", returning=("shop",), restarting=(CART,)
)
ABORTION: Final = CanaryPlan(
    promote=False, status=STATUS, staying="istiod", going="istiod-1-22-8", returning=("shop",), left=(CART,)
)
TAGS: Final = TagsResult(
    tags=(
        Tag(name="default", istio_revision="1-22-8", release="istiod-1-22-8", namespaces=("shop", "pay")),
        Tag(name="[prod]", istio_revision="1-22-8", release=""),
    )
)


def canary_samples(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Return one result of each command."""
    installed = InstallResult(plan=plan, progress=progress)
    return {
        "canary start": StartResult(installed=installed, istio_revision="1-22-8", beside="default"),
        "canary status": STATUS,
        "canary move": MoveResult(plan=MOVE, moved=("shop",), restarts=RESTARTS),
        "canary promote": CanaryResult(plan=PROMOTION, installed=installed, restarts=RESTARTS),
        "canary abort": CanaryResult(
            plan=ABORTION, installed=installed, newer=("base and the CRDs stay at 1.22.8: they are never downgraded",)
        ),
        "tag set": replace(TAGS, name="prod", done="set"),
        "tag list": TAGS,
        "tag remove": replace(TAGS, name="prod", done="removed"),
    }


def more_canary_samples(plan: Plan) -> dict[str, Any]:
    """Return the other ways the commands end, and what is shown before a question."""
    dry = InstallResult(plan=plan, dry_run=True)
    return {
        "canary start, dry run": StartResult(installed=dry, istio_revision="1-22-8", beside="default"),
        "canary status, none on": replace(STATUS, canary=None, gateways=(), namespaces=()),
        "canary move, asked": MOVE,
        "canary move, declined": MoveResult(plan=MOVE, agreed=False),
        "canary move, nothing to do": MoveResult(plan=replace(MOVE, moves=())),
        "canary promote, asked": PROMOTION,
        "canary promote, declined": CanaryResult(plan=PROMOTION, agreed=False),
        "canary abort, asked": ABORTION,
        "tag set, as it was": replace(TAGS, name="prod", done="unchanged"),
        "tag list, none": TagsResult(tags=()),
        "tag remove, declined": replace(TAGS, name="prod", done="declined"),
    }
