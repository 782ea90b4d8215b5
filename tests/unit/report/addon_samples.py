"""Results of the commands that are about Istio's add-ons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from nksmesh.commands.addons.change import AddonsPlan, AddonsResult
from nksmesh.commands.addons.expose import ExposePlan, ExposeResult
from nksmesh.commands.addons.status import AddonList, AddonRow, AddonState
from nksmesh.commands.dashboard import DashboardClosed
from nksmesh.domain.addons.addons import ADDONS, check_kept_volumes, check_sources
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import Action, ObjectStep
from nksmesh.engine.executor.step_context import Progress, StepOutcome
from nksmesh.engine.samples import PodsStep

_NAMESPACE: Final = "istio-system"
_REFS: Final = (
    ObjectRef("v1", "ServiceAccount", "kiali", _NAMESPACE),
    ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "kiali"),
    ObjectRef("apps/v1", "Deployment", "kiali", _NAMESPACE),
)
_PODS: Final = PodsStep(name="pods", action=Action.PROVE, workloads=(_REFS[-1],), injected=False)
_INSTALL: Final = AddonsPlan(
    addons=("kiali",),
    namespace=_NAMESPACE,
    install=True,
    steps=(*(ObjectStep(name=str(ref), action=Action.CREATE, ref=ref) for ref in _REFS), _PODS),
    images=("quay.io/kiali/kiali:v1.76",),
    findings=tuple(check_sources(["kiali"], None)),
)
_REMOVE: Final = AddonsPlan(
    addons=("kiali", "loki"),
    namespace=_NAMESPACE,
    install=False,
    steps=tuple(ObjectStep(name=str(ref), action=Action.REMOVE, ref=ref) for ref in _REFS),
    findings=tuple(check_kept_volumes(ADDONS["loki"], ["storage-loki-0"])),
)
_DONE: Final = Progress(
    outcomes=[
        StepOutcome(step=_INSTALL.steps[0], message="created", seconds=0.02),
        StepOutcome(step=_PODS, message="1 pod is ready", seconds=4.1),
    ]
)
_SERVICE: Final = ObjectRef("v1", "Service", "kiali-load-balancer", _NAMESPACE)
_EXPOSE: Final = ExposePlan(
    addon="kiali",
    service=_SERVICE.name,
    public=False,
    steps=(ObjectStep(name=str(_SERVICE), action=Action.CREATE, ref=_SERVICE),),
)
_EXPOSED: Final = Progress(outcomes=[StepOutcome(step=_EXPOSE.steps[0], message="created", seconds=0.02)])
_CLOSED: Final = DashboardClosed(
    service="kiali",
    namespace=_NAMESPACE,
    url="http://127.0.0.1:20001/kiali",
    connections=14,
    pods=("kiali-5b8f4d7c9-2xk8p", "kiali-6c7d9f8b4-q9z5m"),
)
ADDON_SAMPLES: Final[dict[str, Any]] = {
    "dashboard": _CLOSED,
    "addons install": AddonsResult(plan=_INSTALL, progress=_DONE),
    "addons remove": AddonsResult(plan=_REMOVE),
    "addons expose": ExposeResult(plan=_EXPOSE, progress=_EXPOSED, url="http://10.0.0.7:20001/kiali"),
    "addons status": AddonList(
        addons=(
            AddonRow(
                name="prometheus",
                state=AddonState.NOT_READY,
                owner="kubectl apply",
                message="0 of 1 pods available",
                images=("prom/prometheus:v2.41.0",),
            ),
            AddonRow(name="grafana", state=AddonState.ABSENT),
            AddonRow(
                name="kiali",
                state=AddonState.READY,
                owner="nksmesh",
                message="1 pod ready",
                images=("quay.io/kiali/kiali:v1.76",),
                addresses=("10.0.0.7",),
            ),
        )
    ),
}
MORE_ADDON_SAMPLES: Final[dict[str, Any]] = {
    "dashboard, no pod": replace(_CLOSED, connections=0, pods=()),
    "addons install, asked": _INSTALL,
    "addons install, declined": AddonsResult(plan=_INSTALL, agreed=False),
    "addons remove, asked": _REMOVE,
    "addons remove, none": AddonsResult(plan=replace(_REMOVE, steps=(), findings=())),
    "addons expose, asked": _EXPOSE,
    "addons expose, declined": ExposeResult(plan=_EXPOSE, agreed=False),
    "addons expose, public": ExposeResult(
        plan=replace(_EXPOSE, public=True), progress=_EXPOSED, url="http://203.0.113.7:20001/kiali"
    ),
    "addons expose, no address": ExposeResult(plan=_EXPOSE, progress=_EXPOSED),
}
