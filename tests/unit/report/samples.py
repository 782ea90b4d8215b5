"""One real result of each command, as its workflow would return it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from nksmesh.commands.archives import ArchiveState, Vendored, VendoredChart, Verified, VerifiedArchive
from nksmesh.commands.bundle import BundlePushed, BundleShown
from nksmesh.commands.catalog import Look, Regions, Versions
from nksmesh.commands.charts import ChartRow, ChartRows, Locked
from nksmesh.commands.check import CheckResult, GroupResult
from nksmesh.commands.env import EnvironmentList, EnvironmentRow, EnvironmentShown, StarterWritten
from nksmesh.commands.history import HistoryResult
from nksmesh.commands.images import ImageCheck, ImageList, ListedImage, Source
from nksmesh.commands.install import InstallResult
from nksmesh.commands.mirror import ImageMirror
from nksmesh.commands.plan import ChartMove, PlanResult, TemplateResult
from nksmesh.commands.registry import LoggedIn, LoggedOut
from nksmesh.commands.rollback.plan import RollbackPlan
from nksmesh.commands.rollback.rollback import RollbackResult
from nksmesh.commands.status import GatewayAddress, ReleaseStatus, StatusResult
from nksmesh.commands.uninstall.namespace_contents import Contents
from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult, left_of
from nksmesh.commands.upgrade.upgrade import UpgradeResult
from nksmesh.commands.values import ReleaseValues, ValuesShown
from nksmesh.domain.bundles.contents import BundleContents, BundledChart, BundledFile, BundledImage
from nksmesh.domain.charts.chart import OFFICIAL_SOURCE, Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.checks.rule import Checked, Status
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.readiness import ready, waiting
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.catalog import Environment, ValuesFile
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, Mesh, Network, Region
from nksmesh.domain.mesh.nks import KubernetesSupport, Nks
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.diff import ObjectDiff
from nksmesh.domain.plan.history import Outcome as RunOutcome
from nksmesh.domain.plan.history import ReleaseMove, Run
from nksmesh.domain.plan.load_balancers import AddressFate
from nksmesh.domain.plan.plan import Action, CrdChange, Plan, ReleaseChange, Step
from nksmesh.domain.plan.rollback_target import RollbackTarget
from nksmesh.domain.plan.upgrade_path import Hop, UpgradePath
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover
from nksmesh.domain.values.layers import Layer, compose
from nksmesh.engine.copies import CopyState, MirroredImage
from nksmesh.engine.discovery import Installation
from nksmesh.engine.executor.step_context import Progress, StepOutcome
from nksmesh.engine.image_lookup import CheckedImage
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.failures import Failure, Staged
from nksmesh.sandbox.results import (
    Built,
    DataPlaneStatus,
    Deleted,
    FailuresEnded,
    PackagedChart,
    PackagedCharts,
    PartStatus,
    PlayedImage,
    Relay,
    SandboxStarted,
    SandboxStatus,
    SandboxStopped,
    State,
    Statuses,
)

from .addon_samples import ADDON_SAMPLES, MORE_ADDON_SAMPLES
from .adoption_samples import ADOPTED, more_adoption_samples
from .canary_samples import canary_samples, more_canary_samples
from .drift_samples import drift_samples, more_drift_samples
from .foreign_samples import foreign_samples
from .gateway_samples import GATEWAY_SAMPLES, MORE_GATEWAY_SAMPLES
from .guide_samples import GUIDE_SAMPLES, MORE_GUIDE_SAMPLES
from .inject_samples import INJECT_SAMPLES, MORE_INJECT_SAMPLES
from .istioctl_samples import istioctl_samples, more_istioctl_samples
from .sample_samples import MORE_SAMPLE_SAMPLES, SAMPLE_SAMPLES
from .traffic_samples import more_traffic_samples, traffic_samples

HUB: Final = "registry.example.com/container_service/istio"
PROXY: Final = f"{HUB}/proxyv2:1.20.0"

REGION: Final = Region(
    name="kr1",
    title="한국(판교) 리전",
    title_en="Korea (Pangyo) region",
    hubs={Network.PUBLIC: HUB, Network.PRIVATE: f"private-{HUB}"},
    versions=("1.19.0", "1.20.0"),
    kubernetes=("1.25", "1.26", "1.27", "1.28"),
)
ISTIO: Final = IstioVersion(
    minor="1.20",
    kubernetes_min="1.25",
    kubernetes_max="1.29",
    kubernetes_floor="1.25",
    versions=("1.20.0", "1.20.1", "1.20.2", "1.20.3"),
    tested=("1.20.0",),
    support_ends=date(2024, 6, 25),
)
NEWER: Final = IstioVersion(
    minor="1.30", kubernetes_min="1.32", kubernetes_max="1.36", kubernetes_floor="1.32", versions=("1.30.2",)
)
NKS: Final = Nks(
    as_of="2026-11-25",
    source="NKS version guide",
    offered=("1.33",),
    kubernetes={
        minor: KubernetesSupport(
            minor=minor, version=f"{minor}.4", support_ends=ends, planned=planned, upgrade_until=to
        )
        for minor, ends, planned, to in (
            ("1.28", date(2025, 11, 30), True, None),
            ("1.33", date(2027, 1, 31), False, date(2027, 11, 30)),
        )
    },
)

BASE: Final = Release(component="base", name="istio-base", namespace="istio-system")
ISTIOD: Final = Release(component="istiod", name="istiod", namespace="istio-system")
INGRESS: Final = Release(component="gateway", name="istio-ingressgateway", namespace="istio-system")

MESH: Final = Mesh(
    version="1.20.0",
    profile="default",
    hub=HUB,
    region="kr1",
    chart_source=OFFICIAL_SOURCE,
    environment="prod",
    releases=(BASE, ISTIOD, INGRESS),
    layers={},
)
LAYERS: Final = (
    Layer(name="region kr1", values={"global": {"hub": HUB, "tag": "1.20.0"}}, ours=True),
    Layer(name="-f istiod=x.yaml", values={"pilot": {"env": {"A.B": "[on]"}}, "meshConfig": {}}),
)


def installed(release: Release, status: str = "deployed") -> InstalledRelease:
    return InstalledRelease(
        name=release.name,
        namespace=release.namespace,
        helm_revision=2,
        status=status,
        chart=release.component,
        chart_version="1.20.0",
    )


def _change(release: Release) -> ReleaseChange:
    chart = Chart(
        ref=ChartRef(name=release.component, version="1.20.0"),
        folder=Path("charts"),
        digest="sha256:0",
        app_version="1.20.0",
        defaults={},
    )
    return ReleaseChange(release=release, chart=chart, layers=LAYERS, composed=compose(LAYERS), manifests=())


STEPS: Final = (
    Step(name="namespace istio-system", action=Action.CREATE, reasons=("it is not there",)),
    Step(name="CRDs", action=Action.APPLY, reasons=("14 are new",)),
    Step(name="istiod", action=Action.UPGRADE, reasons=("its values differ", "so does its chart")),
    Step(name="injection webhook", action=Action.PROVE, reasons=("gateways get their image from it",)),
    Step(name="istio-base", action=Action.KEEP),
)
PLAN: Final = Plan(
    mesh=MESH,
    steps=STEPS,
    releases={ISTIOD.name: _change(ISTIOD)},
    crds=(CrdChange(name="gateways.networking.istio.io", manifest={}, exists=True, taken_from=("istioctl", "helm")),),
    proxy_image=PROXY,
    kubernetes="1.28.15",
    findings=(
        Finding(
            id="charts.unknown-key",
            level=Level.WARNING,
            message="istiod: global.hubb is no key of the chart",
            hint="Perhaps global.hub.",
        ),
        Finding(id="location.kubernetes-support", level=Level.NOTE, message="Kubernetes 1.28 is in Istio 1.20's range"),
    ),
    notes=("region kr1, from the API server's host name",),
    unwanted=(Release(component="gateway", name="istio-egressgateway", namespace="istio-system"),),
)
NOTHING_TO_DO: Final = Plan(mesh=MESH, steps=STEPS[3:], releases={}, kubernetes="1.28.15")

PROGRESS: Final = Progress(
    outcomes=[
        StepOutcome(step=STEPS[0], message="created", seconds=0.04),
        StepOutcome(step=STEPS[2], message="Deployment istiod: 1 of 1 replicas available", seconds=63.2),
    ],
    addresses={"istio-ingressgateway": ("203.0.113.7",), "istio-egressgateway": ()},
    warnings=["istio-ingressgateway: the address is pending: SyncLoadBalancerFailed [quota]"],
)

RECORD: Final = Record(
    settings=Recorded(
        version="1.20.0", profile="default", region="kr1", network=Network.PUBLIC, namespace="istio-system"
    ),
    hub=HUB,
)
INSTALLATION: Final = Installation(
    namespace="istio-system",
    releases={BASE: installed(BASE), ISTIOD: installed(ISTIOD), INGRESS: installed(INGRESS, "failed")},
    record=RECORD,
)
STATUS: Final = StatusResult(
    kubernetes="1.28.15",
    context="prod",
    installation=INSTALLATION,
    releases=(
        ReleaseStatus(release=BASE, installed=installed(BASE), readiness=ready("14 CRDs established")),
        ReleaseStatus(
            release=ISTIOD,
            installed=installed(ISTIOD),
            readiness=ready("Deployment istiod: 1 of 1 replicas available"),
            images=(f"{HUB}/pilot:1.20.0",),
        ),
        ReleaseStatus(
            release=INGRESS,
            installed=installed(INGRESS, "failed"),
            readiness=waiting("Deployment istio-ingressgateway: 0 of 1 replicas available"),
            images=("elsewhere.example.com/istio/proxyv2:1.20.0",),
            troubles=("pod istio-ingressgateway-0: ImagePullBackOff",),
        ),
    ),
    gateways=(
        GatewayAddress(
            name="istio-ingressgateway",
            service="istio-system/istio-ingressgateway",
            kind="LoadBalancer",
            addresses=("203.0.113.7",),
            http="203.0.113.7:80",
        ),
    ),
    strays=("elsewhere.example.com/istio/proxyv2:1.20.0",),
)

UNINSTALL: Final = UninstallPlan(
    installation=INSTALLATION,
    purge=True,
    addresses={"istio-system/istio-ingressgateway": ("203.0.113.7",)},
    fates={"istio-system/istio-ingressgateway": AddressFate.DELETED},
    leftovers=(
        Leftover(
            ref=ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.networking.istio.io"),
            holds="3 Gateways",
        ),
        Leftover(ref=ObjectRef("v1", "Secret", "istio-ca-secret", "istio-system")),
        Leftover(
            ref=ObjectRef("v1", "ConfigMap", "istio-ca-root-cert", "default"),
            stays="Deployment elsewhere/istiod may need it",
        ),
    ),
    namespaces={
        "istio-system": Contents(
            others=(ObjectRef("v1", "ConfigMap", "of-a-user", "istio-system"),),
            unknown=("cannot tell whether it contains Widget (example.com/v1): forbidden",),
        ),
        "edge": Contents(),
    },
    unserved=("metrics.k8s.io/v1beta1",),
)

CART: Final = Workload(
    namespace="shop",
    kind="Deployment",
    name="cart",
    pods=2,
    proxies=(PROXY,),
    istio_revisions=("default",),
    restartable=True,
)
LEASE: Final = "coordination.k8s.io/v1", "Lease"
MANY_LEFT: Final = UninstallPlan(
    installation=INSTALLATION,
    purge=True,
    keep_crds=True,
    leftovers=(
        *(
            Leftover(
                ref=ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}.networking.istio.io"),
                stays="--keep-crds",
            )
            for name in ("gateways", "sidecars", "virtualservices")
        ),
        *(
            Leftover(ref=ObjectRef(*LEASE, f"istio-{name}", "istio-system"))
            for name in ("gateway-deployment-default", "ip-autoallocate")
        ),
        *(
            Leftover(ref=ObjectRef("v1", "ConfigMap", "istio-ca-root-cert", f"team-{number}"))
            for number in range(1, 13)
        ),
    ),
    labelled=(
        Labelled(namespace="pay", labels={"istio-injection": "enabled"}),
        Labelled(namespace="shop", labels={"istio-injection": "enabled"}),
        Labelled(namespace="old", labels={"istio.io/rev": "1-18-7"}, stays="Deployment elsewhere/istiod may need it"),
    ),
    webhooks=(ObjectRef("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "istio-revision-tag-prod"),),
    workloads=(
        CART,
        replace(CART, kind="Job", name="nightly", pods=1, restartable=False, not_restartable="let it end"),
    ),
    runs=3,
    unfinished="run 3 (install)",
)
ISTIOD_OLD: Final = replace(ISTIOD, name="istiod-1-18-7", istio_revision="1-18-7")
ONE_REVISION: Final = UninstallPlan(
    installation=Installation(namespace="istio-system", releases={ISTIOD_OLD: installed(ISTIOD_OLD)}),
    purge=False,
    istio_revision="1-18-7",
    labelled=(Labelled(namespace="old", labels={"istio.io/rev": "1-18-7"}),),
    workloads=(replace(CART, istio_revisions=("1-18-7",)),),
)

RUNS: Final = (
    Run(
        command="upgrade",
        namespace="istio-system",
        number=5,
        who="kim@desk",
        account="nks-admin",
        began=datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC),
        ended=datetime(2026, 1, 1, 12, 0, 4, tzinfo=UTC),
        from_versions=("1.19.0",),
        to_version="1.20.0",
        values_hash="sha256:0123",
        outcome=RunOutcome.FAILED,
        reason="istiod cannot become ready: Pod istio-system/istiod-x: ErrImagePull",
        evidence="failed to pull and unpack image: [not found]\nbegun: istiod",
        releases=(ReleaseMove(release=BASE, before=1, after=2), ReleaseMove(release=ISTIOD, before=1, after=1)),
        written_by="0.1.0",
    ),
    Run(
        command="rollback",
        namespace="istio-system",
        number=6,
        who="kim@desk",
        began=datetime(2026, 1, 1, 12, 1, 0, tzinfo=UTC),
        from_versions=("1.19.0", "1.20.0"),
        to_version="1.19.0",
        undoes=(5,),
    ),
)
ROLLBACK: Final = RollbackPlan(
    way=RollbackTarget(runs=RUNS[:1], targets={BASE: 1, ISTIOD: 1, INGRESS: 0}),
    plan=Plan(
        mesh=MESH,
        steps=(
            Step(
                name="istiod",
                action=Action.ROLLBACK,
                reasons=("returns to Helm revision 1", "chart 1.20.0 returns to 1.19.0"),
            ),
            Step(name="istio-base", action=Action.KEEP),
        ),
        releases={},
        proxy_image=PROXY,
    ),
    lost=("edge cannot be restored: it was removed with its Helm history",),
    workloads=(CART,),
)

DIGEST: Final = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
CHARTS: Final = (
    ChartRow(
        ref=ChartRef(name="base", version="1.20.0"), digest=DIGEST, pinned=True, cached=True, folder=Path("/cache/base")
    ),
    ChartRow(ref=ChartRef(name="istiod", version="1.20.0"), digest=None, pinned=False, cached=False),
)
LOCK: Final = Path("charts.lock")


def _archive(name: str, state: ArchiveState, found: str = "") -> VerifiedArchive:
    """Make what was found of a chart of the lock."""
    return VerifiedArchive(
        name=name, state=state, found=found, pinned=(DIGEST,), source=CHARTS[0].ref.source, version="1.20.0"
    )


ENVIRONMENT: Final = Environment(
    name="prod",
    path="values/environments/prod/mesh.yaml",
    context="prod",
    region="kr1",
    network=Network.PRIVATE,
    version="1.20.0",
    profile="demo",
    pull_secrets=("registry",),
    gateways=(GatewaySpec(name="edge", namespace="edge", values={"replicas": 2}),),
    files={"istiod": ValuesFile(path="values/environments/prod/istiod.yaml", values={"pilot": {"traceSampling": 100}})},
)

SANDBOX: Final = SandboxStatus(
    name="default",
    state=State.CRASHED,
    kubeconfig=Path("/data/default/kubeconfig"),
    context="nksmesh-sandbox",
    server="https://127.0.0.1:6443",
    kubernetes="1.34.4",
    registry="127.0.0.1:5000",
    docker_config=Path("/data/default/docker"),
    data_plane=DataPlaneStatus(
        control_plane="1.31.0-alpha.eed52ebb66ad",
        images=(
            PlayedImage(image=PROXY, kind="real", containers=2),
            PlayedImage(image="docker.io/istio/examples-bookinfo-details-v1:1.20.3", kind="small server", containers=1),
            PlayedImage(image="registry.k8s.io/pause:3.9", kind="simulated", containers=1),
        ),
        relays=(Relay(address="203.0.113.7:80", relay="127.0.0.1:40080"),),
    ),
    parts=(
        PartStatus(part=Part.ETCD, state=State.RUNNING, pid=7, log=Path("/data/default/etcd.log")),
        PartStatus(
            part=Part.KWOK,
            state=State.CRASHED,
            pid=None,
            log=Path("/data/default/kwok.log"),
            log_tail="panic: [boom]\ngoroutine 1",
        ),
    ),
)
RAISED: Final = SandboxStarted(
    name="default",
    kubeconfig=SANDBOX.kubeconfig,
    context=SANDBOX.context,
    server=SANDBOX.server,
    kubernetes=SANDBOX.kubernetes,
    registry="",
    docker_config=SANDBOX.docker_config,
    data_plane=True,
    started=(Part.ETCD, Part.API_SERVER),
    seconds=5.44,
)

ROAD: Final = UpgradePath(
    installed="1.19.0",
    wanted="1.21.6",
    hops=(
        Hop(version="1.20.0"),
        Hop(
            version="1.21.6",
            findings=(
                Finding(
                    id="version.not-in-registry",
                    level=Level.FAILURE,
                    message="the registry of region kr1 does not provide Istio 1.21.6",
                    hint="Another version needs a registry of your own: --hub.",
                    subject="kr1",
                ),
            ),
        ),
    ),
)
WORKLOADS: Final = tuple(
    Workload(
        namespace="shop",
        kind=kind,
        name=name,
        pods=pods,
        proxies=(f"{HUB}/proxyv2:1.19.0",),
        istio_revisions=("default",),
        restartable=not why,
        not_restartable=why,
    )
    for kind, name, pods, why in (
        ("Deployment", "cart", 3, ""),
        ("Job", "report [daily]", 1, "it would begin anew: let it end"),
    )
)
UPGRADED: Final = UpgradeResult(
    road=UpgradePath(installed="1.19.0", wanted="1.20.0", hops=(Hop(version="1.20.0"),)),
    steps=(InstallResult(plan=PLAN, progress=PROGRESS),),
    behind=WORKLOADS,
    restarted=RestartResult(
        restarts=(
            Restart(workload=WORKLOADS[0], outcome=Outcome.RESTARTED, message="Deployment cart is available"),
            Restart(workload=WORKLOADS[1], outcome=Outcome.NOT_RESTARTABLE, message="it would begin anew: let it end"),
        )
    ),
    said=("values/environments/prod/mesh.yaml has version 1.19.0: change it to 1.20.0",),
)

BUNDLE = BundleShown(
    file="mesh.tar",
    sha256="c" * 64,
    bytes=81_000_000,
    contents=BundleContents(
        version="1.30.2",
        environment="prod",
        hub="private-registry.example.com/istio",
        charts=(BundledChart(name="base", version="1.30.2", source="https://charts.example.com", digest="sha256:d"),),
        images=(
            BundledImage(
                name="pilot:1.30.2",
                source="docker.io/istio/pilot:1.30.2",
                digest=f"sha256:{'b' * 64}",
                media_type="application/vnd.oci.image.index.v1+json",
                platforms=("linux/amd64", "linux/arm64"),
            ),
        ),
        files=(BundledFile(path="charts/base-1.30.2.tgz", size=36673, sha256="d" * 64),),
    ),
)

SAMPLES: Final[dict[str, Any]] = {
    "adopt": ADOPTED,
    "install": InstallResult(plan=PLAN, progress=PROGRESS),
    "plan": PlanResult(
        plan=PLAN,
        diff=(
            ObjectDiff(
                ref=ObjectRef("apps/v1", "Deployment", "istiod", "istio-system"),
                change="changed",
                lines=("@@ -1 +1 @@", "-  replicas: 1", "+  replicas: 2  # [x]"),
            ),
        ),
    ),
    "upgrade": UPGRADED,
    **canary_samples(PLAN, PROGRESS),
    **INJECT_SAMPLES,
    **GUIDE_SAMPLES,
    **SAMPLE_SAMPLES,
    **GATEWAY_SAMPLES,
    **drift_samples(),
    **istioctl_samples(),
    "template": TemplateResult(mesh=MESH, manifests="apiVersion: v1\nkind: Namespace  \nmetadata:\n\tname: '[x]'\n"),
    "status": STATUS,
    "uninstall": UninstallResult(
        plan=UNINSTALL, removed=("istio-ingressgateway", "istiod", "istio-base"), left=("Secret istio-ca-secret",)
    ),
    "history": HistoryResult(namespace="istio-system", runs=tuple(reversed(RUNS)), more=4),
    "rollback": RollbackResult(
        plan=ROLLBACK,
        progress=Progress(
            outcomes=[StepOutcome(step=ROLLBACK.plan.steps[0], message="Deployment istiod is available", seconds=1.31)],
            addresses={"istio-ingressgateway": ("203.0.113.7",)},
        ),
    ),
    "regions": Regions(regions=(REGION,)),
    "versions": Versions(
        versions=(ISTIO, NEWER),
        regions=(REGION,),
        nks=NKS,
        look=Look(context="nks_shop", kubernetes="v1.33.4"),
        today=date(2026, 11, 25),
    ),
    "values show": ValuesShown(
        releases=(ReleaseValues(release=ISTIOD, layers=("region kr1", "-f istiod=x.yaml"), composed=compose(LAYERS)),),
        notes=("profile default, the default",),
    ),
    "env list": EnvironmentList(
        environments=(
            EnvironmentRow(name="prod", environment=ENVIRONMENT),
            EnvironmentRow(name="broken", problem="values/environments/broken/mesh.yaml, line 3: regoin is no key"),
        ),
        folder="meshes",
    ),
    "env show": EnvironmentShown(environment=ENVIRONMENT),
    "init": StarterWritten(folder="meshes", files=("charts.lock", "values/environments/dev/mesh.yaml")),
    "charts fetch": ChartRows(charts=CHARTS, lock=LOCK),
    "bundle create": replace(BUNDLE, created=True),
    "bundle inspect": BUNDLE,
    "bundle verify": replace(BUNDLE, verified=True),
    "bundle push": BundlePushed(
        file="mesh.tar",
        to="registry.example.com/istio",
        version="1.30.2",
        images=(
            MirroredImage(
                source="bundle/pilot:1.30.2",
                image="registry.example.com/istio/pilot:1.30.2",
                digest=f"sha256:{'b' * 64}",
                state=CopyState.COPIED,
                bytes=80_000_000,
                missing_bytes=80_000_000,
                moved_bytes=80_000_000,
                verified=True,
            ),
        ),
        next_command="nksmesh install --bundle mesh.tar -e prod --hub registry.example.com/istio",
    ),
    "check": CheckResult(
        kubernetes="v1.34.3",
        context="prod",
        version="1.30.2",
        groups=(
            GroupResult(
                group="cluster",
                results=(
                    Checked(id="cluster.reachable", status=Status.OK, message="the API server answers"),
                    Checked(
                        id="cluster.capacity",
                        status=Status.FAILURE,
                        message="a pod of Deployment istiod asks for 0.5 CPUs and 2Gi of memory; the largest node "
                        "has 2 CPUs and 1600Mi of memory: it would stay Pending",
                        hint="Use larger nodes, or lower what it asks for.",
                    ),
                ),
            ),
            GroupResult(
                group="mesh",
                results=(
                    Checked(
                        id="mesh.left-crds",
                        status=Status.WARNING,
                        message="15 CRDs of Istio and no mesh: an earlier one left them",
                        hint="An install goes on with them.",
                    ),
                ),
            ),
        ),
        counts={"ok": 1, "warning": 1, "failure": 1},
    ),
    "images check": ImageCheck(
        version="1.20.0",
        hub="registry.example.com/istio",
        images=(
            CheckedImage(
                image="registry.example.com/istio/proxyv2:1.20.0",
                login="Secret istio-system/key",
                found=FoundManifest(
                    digest=f"sha256:{'a' * 64}",
                    media_type="application/vnd.oci.image.index.v1+json",
                    platforms=("linux/amd64", "linux/arm64"),
                ),
            ),
            CheckedImage(
                image="registry.example.com/istio/pilot:1.20.0",
                findings=(
                    Finding(
                        id="images.missing",
                        subject="registry.example.com/istio/pilot:1.20.0",
                        message="registry.example.com/istio/pilot:1.20.0 does not exist",
                        hint="Copy it there, or pass another --hub or --version.",
                        detail="MANIFEST_UNKNOWN: manifest unknown",
                    ),
                ),
            ),
        ),
    ),
    "images list": ImageList(
        version="1.20.0",
        hub="registry.example.com/istio",
        images=(
            ListedImage(
                image="registry.example.com/istio/proxyv2:1.20.0",
                source=Source.MESH,
                used_by=(
                    "ConfigMap istio-system/istio-sidecar-injector (values, global.proxy.image)",
                    "ConfigMap istio-system/istio-sidecar-injector (values, global.proxy_init.image)",
                ),
            ),
            ListedImage(
                image="busybox:1.28",
                source=Source.MESH,
                used_by=("ConfigMap istio-system/istio-sidecar-injector (template grpc-simple)",),
                opt_in=True,
            ),
            ListedImage(
                image="quay.io/kiali/kiali:v1.76",
                source=Source.ADDONS,
                used_by=("Deployment istio-system/kiali (container kiali)",),
            ),
        ),
    ),
    "images mirror": ImageMirror(
        version="1.30.2",
        source="docker.io/istio",
        to="registry.example.com/istio",
        platforms=("linux/amd64",),
        images=(
            MirroredImage(
                source="docker.io/istio/proxyv2:1.30.2",
                image="registry.example.com/istio/proxyv2:1.30.2",
                digest=f"sha256:{'a' * 64}",
                state=CopyState.COPIED,
                bytes=98_765_432,
                missing_bytes=98_765_432,
                moved_bytes=60_000_000,
                mounted_bytes=38_765_432,
                verified=True,
            ),
            MirroredImage(
                source="docker.io/istio/pilot:1.30.2",
                image="registry.example.com/istio/pilot:1.30.2",
                digest=f"sha256:{'b' * 64}",
                state=CopyState.THERE,
                bytes=0,
                missing_bytes=0,
            ),
        ),
        findings=(
            Finding(
                id="images.unverified",
                level=Level.WARNING,
                subject="registry.example.com/istio/pilot:1.30.2",
                message="registry.example.com/istio/pilot:1.30.2 was pushed and not verified",
                hint="Run nksmesh images check with a login that may pull.",
            ),
        ),
        next_command="nksmesh install --hub registry.example.com/istio --version 1.30.2",
    ),
    "registry login": LoggedIn(
        host="1a2b3c4d-kr1-registry.container.nhncloud.com",
        username="key-id",
        stored_in="/home/kim/.docker/config.json",
        proved=True,
        ncr=True,
    ),
    "registry logout": LoggedOut(host="registry.example.com", removed_from=("/home/kim/.docker/config.json",)),
    "charts list": ChartRows(charts=CHARTS, lock=LOCK),
    "charts lock": Locked(charts=CHARTS, lock=LOCK, added=1),
    "charts vendor": Vendored(
        folder=Path("charts"),
        charts=(
            VendoredChart(ref=CHARTS[0].ref, file="base-1.20.0.tgz", digest=DIGEST, pinned=True),
            VendoredChart(ref=CHARTS[1].ref, file="istiod-1.20.0.tgz", digest=DIGEST, pinned=False),
        ),
    ),
    "charts verify": Verified(
        lock=LOCK,
        place=Path("charts"),
        archives=(
            _archive("base 1.20.0", ArchiveState.VERIFIED, DIGEST),
            _archive("gateway 1.20.0", ArchiveState.MISSING),
            _archive("istiod 1.20.0", ArchiveState.DIFFERS, DIGEST.replace("0", "9")),
            VerifiedArchive(name="evil-1.0.0.tgz", state=ArchiveState.FOREIGN, found=DIGEST),
        ),
        unpinned=("cni 1.20.0",),
    ),
    **traffic_samples(),
    **ADDON_SAMPLES,
    "sandbox build": Built(programs={"etcd": "/cache/etcd", "kwok": "/cache/kwok"}),
    "sandbox charts": PackagedCharts(
        folder=Path("charts"),
        version="1.31.0-alpha.eed52ebb66ad",
        charts=(
            PackagedChart(file="base-1.31.0-alpha.eed52ebb66ad.tgz", digest=DIGEST),
            PackagedChart(file="istiod-1.31.0-alpha.eed52ebb66ad.tgz", digest=DIGEST),
        ),
        samples=Path("charts/samples"),
    ),
    "sandbox up": RAISED,
    "sandbox reset": RAISED,
    "sandbox status": Statuses(sandboxes=(SANDBOX,)),
    "sandbox down": SandboxStopped(name="default", stopped=True),
    "sandbox delete": Deleted(name="default", existed=True),
    "sandbox fail": Staged(failure=Failure.IMAGE, reason="not-found", selector="app=edge", marked=2, name="trial"),
    "sandbox heal": FailuresEnded(name="default", ended=1),
}
"""By the command's name."""

MORE: Final[dict[str, Any]] = {
    "install, nothing to do": InstallResult(plan=NOTHING_TO_DO),
    "install, dry run": InstallResult(plan=NOTHING_TO_DO, dry_run=True),
    "plan, no difference": PlanResult(plan=NOTHING_TO_DO, diff=()),
    "plan, to another version": PlanResult(
        plan=PLAN,
        road=ROAD,
        charts=(
            ChartMove(
                release="istiod", chart="istiod", installed="1.19.0", wanted="1.20.0", digest="sha256:0", pinned=True
            ),
        ),
    ),
    "upgrade, first of two steps": replace(UPGRADED, road=ROAD, restarted=None),
    "upgrade, dry run": UpgradeResult(road=ROAD, steps=(InstallResult(plan=PLAN, dry_run=True),), dry_run=True),
    "upgrade, nothing to do": UpgradeResult(
        road=UpgradePath(installed="1.20.0", wanted="1.20.0", hops=(Hop(version="1.20.0"),)),
        steps=(InstallResult(plan=NOTHING_TO_DO),),
    ),
    **more_canary_samples(PLAN),
    **MORE_INJECT_SAMPLES,
    **MORE_GUIDE_SAMPLES,
    **MORE_SAMPLE_SAMPLES,
    **MORE_GATEWAY_SAMPLES,
    **more_drift_samples(),
    **more_istioctl_samples(),
    **more_adoption_samples(PLAN),
    **foreign_samples(),
    **more_traffic_samples(),
    **MORE_ADDON_SAMPLES,
    "versions, no cluster": Versions(
        versions=(NEWER,), regions=(REGION,), look=Look(problem="the cluster did not answer within 3 s")
    ),
    "status, a release is gone": replace(
        STATUS,
        installation=replace(INSTALLATION, gone=(ISTIOD,)),
        releases=tuple(status for status in STATUS.releases if status.release != ISTIOD),
    ),
    "status, no mesh": StatusResult(
        kubernetes="1.28.15", context="", installation=Installation(namespace="istio-system", releases={})
    ),
    "uninstall, asked": UNINSTALL,
    "uninstall, much of it, asked": MANY_LEFT,
    "uninstall, much of it": UninstallResult(plan=MANY_LEFT, removed=("release istiod",), left=left_of(MANY_LEFT, {})),
    "uninstall, one revision": UninstallResult(
        plan=ONE_REVISION, removed=("release istiod-1-18-7",), left=left_of(ONE_REVISION, {})
    ),
    "uninstall, one revision, asked": ONE_REVISION,
    "uninstall, nothing there": UninstallResult(
        plan=UninstallPlan(installation=Installation(namespace="istio-system", releases={}), purge=False)
    ),
    "history, none": HistoryResult(namespace="istio-system"),
    "rollback, asked": ROLLBACK,
    "rollback, not agreed": RollbackResult(plan=ROLLBACK, agreed=False),
    "charts lock, none new": Locked(charts=CHARTS[:1], lock=LOCK, added=0),
    "charts lock, renewed": Locked(
        charts=CHARTS[:1], lock=LOCK, added=1, renewed={"base 1.20.0": DIGEST.replace("0", "9")}
    ),
    "charts verify, all": Verified(
        lock=LOCK, place=Path("charts"), archives=(_archive("base 1.20.0", ArchiveState.VERIFIED, DIGEST),)
    ),
    "charts list, empty": ChartRows(charts=(), lock=LOCK),
}
"""Other ways for a command to end, worth a look of their own."""
