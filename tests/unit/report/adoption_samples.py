"""Results of ``nksmesh adopt``, as its command would return them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from nksmesh.commands.adopt.adopt import AdoptionPlan, AdoptResult
from nksmesh.commands.adopt.description import AdoptedRelease
from nksmesh.commands.adopt.from_istioctl import TakeoverPlan, TakeoverResult
from nksmesh.commands.adopt.istioctl_settings import FormerValues
from nksmesh.domain.adoption.takeover import TakenObject
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.catalog import Catalog
from nksmesh.domain.mesh.mesh import GatewaySpec, Mesh
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.plan.plan import Plan
from nksmesh.domain.plan.preserved_values import Kept
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.request import MeshRequest

NAMESPACE: Final = "istio-system"
BASE: Final = Release(component="base", name="istio-base", namespace=NAMESPACE)
ISTIOD: Final = Release(component="istiod", name="istio", namespace=NAMESPACE)
EDGE: Final = Release(component="gateway", name="istio-ingress", namespace="edge")


def _described(release: Release, kept: Kept, copied: int = 0) -> AdoptedRelease:
    installed = InstalledRelease(
        name=release.name,
        namespace=release.namespace,
        helm_revision=2,
        status="deployed",
        chart=release.component,
        chart_version="1.20.1",
    )
    return AdoptedRelease(release=release, installed=installed, kept=kept, copied=copied, chart_digest="sha256:0")


def _adopted() -> AdoptResult:
    mesh = Mesh(
        version="1.20.1",
        profile="default",
        hub="registry.example.com/istio",
        chart_source="charts",
        releases=(BASE, ISTIOD, EDGE),
        layers={},
        own_hub=True,
        gateways=(GatewaySpec(name="istio-ingress", namespace="edge"),),
        release_names={"istiod": "istio"},
    )
    pinned = Kept(beyond={"global": {"tag": "1.20.0"}}, added=("global.hub",), pins=("global.tag",))
    plan = AdoptionPlan(
        mesh=mesh,
        releases=(_described(BASE, Kept()), _described(ISTIOD, pinned, copied=122), _described(EDGE, Kept())),
        record=Record(settings=Recorded.of(mesh), hub=mesh.hub),
        warnings=("istio: global.tag is pinned to 1.20.0: it stays through every upgrade",),
        notes=("istio: 122 values only repeat the chart's defaults, and are left out",),
        environment="prod",
    )
    files = ("values/environments/prod/mesh.yaml", "values/environments/prod/istiod.yaml")
    return AdoptResult(plan=plan, files=files, folder="meshes")


def _taken_over(plan: Plan) -> TakeoverResult:
    gateway = ObjectRef("apps/v1", "Deployment", "istio-ingressgateway", NAMESPACE)
    account = ObjectRef("v1", "ServiceAccount", "istiod", NAMESPACE)
    args = "spec.template.spec.containers.istio-proxy"
    taken = (
        TakenObject(
            ref=gateway,
            release="istio-ingressgateway",
            owner="istioctl",
            managers=("istio-operator",),
            changes=("metadata.labels.release", f"{args}.args", f"{args}.env", f"{args}.image", f"{args}.ports"),
        ),
        TakenObject(ref=account, release="istiod", owner="istioctl", changes=("metadata.labels.release",)),
    )
    state = ObjectRef("install.istio.io/v1alpha1", "IstioOperator", "installed-state", NAMESPACE)
    role = ObjectRef("rbac.authorization.k8s.io/v1", "Role", "istio-ingressgateway-sds", NAMESPACE)
    tag = ObjectRef("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "istio-revision-tag-default")
    shown = TakeoverPlan(
        request=MeshRequest(options=Request(), catalog=Catalog(regions={}, versions=(), profiles={})),
        plan=plan,
        objects=taken,
        values=FormerValues(
            kept={"istio-ingressgateway": ("service.ports",)},
            carried={"istiod": ("meshConfig.accessLogFile", "pilot.resources.limits.cpu")},
            left={"components.pilot.k8s.overlays": "the chart istiod of 1.20.0 has no value for it"},
        ),
        replaced=(tag,),
        orphans=(role, state),
    )
    progress = Progress(addresses={"istio-ingressgateway": ("203.0.113.7",)})
    return TakeoverResult(plan=shown, progress=progress, removed=(str(tag),))


ADOPTED: Final = _adopted()


def more_adoption_samples(plan: Plan) -> dict[str, Any]:
    """Other ways for an adoption to end."""
    taken_over = _taken_over(plan)
    return {
        "adopt, not agreed": replace(ADOPTED, files=(), agreed=False),
        "adopt, recorded already": AdoptResult(
            plan=replace(ADOPTED.plan, releases=(), recorded=True, warnings=(), notes=("there is nothing to adopt",))
        ),
        "adopt, from istioctl": taken_over,
        "adopt, from istioctl, dry run": replace(taken_over, progress=Progress(), removed=(), dry_run=True),
    }
