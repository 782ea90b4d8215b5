"""A world of many versions: charts of each, and a Helm whose releases are of the version of their chart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nksmesh.commands.upgrade.path import UpgradeExtent, UpgradeOptions
from nksmesh.commands.upgrade.upgrade import UpgradeResult, upgrade
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.events import Listener, unheard
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.catalog import Catalog, Profile
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from tests.unit.domain.meshes import HUB, INGRESS, ISTIOD, chart, installed
from tests.unit.fakes.cluster import FakeCharts, FakeCluster, Heard
from tests.unit.fakes.meshes import answering, deployment, injected, of_release, pod, rolled_out
from tests.unit.fakes.world import CATALOG as REGIONS
from tests.unit.fakes.world import KeepingHelm, World

VERSIONS = {"1.19": ("1.19.0",), "1.20": ("1.20.0", "1.20.1"), "1.21": ("1.21.6",), "1.22": ("1.22.8",)}
CATALOG = Catalog(
    regions=REGIONS.regions,
    versions=tuple(
        IstioVersion(
            minor=minor, kubernetes_min="1.25", kubernetes_max="1.29", kubernetes_floor="1.25", versions=versions
        )
        for minor, versions in VERSIONS.items()
    ),
    profiles={"default": Profile(name="default", gateways=(GatewaySpec(name=INGRESS.name),), ours=True)},
    components={},
)
SHOP = ObjectRef("v1", "Pod", "cart", "shop")


def request_for(version: str, **said: Any) -> MeshRequest:
    return MeshRequest(options=Request(hub=HUB, version=version, charts="charts", **said), catalog=CATALOG)


def proxy(version: str) -> str:
    return f"{HUB}/proxyv2:{version}"


class VersionedCharts(FakeCharts):
    """Charts of every version but those that are ``missing``."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: set[str] = set()
        self.defaults: dict[str, dict[str, Any]] = {}

    async def fetch(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = unheard
    ) -> dict[ChartRef, Chart]:
        wanted = list(refs)
        for ref in wanted:
            if ref.version in self.missing:
                raise ChartError(f"there is no chart {ref}", hint="Fetch it.")
        return {
            ref: chart(ref.name, version=ref.version, defaults=self.defaults.get(ref.version, {})) for ref in wanted
        }


class VersionedHelm(KeepingHelm):
    """A Helm whose releases are of the version of their chart."""

    istio = ""

    async def render(self, release: Release, chart: Chart, values: Any, *, kubernetes: str = "", upgrade: bool) -> str:
        self.be_at(chart.ref.version)
        return await super().render(release, chart, values, kubernetes=kubernetes, upgrade=upgrade)

    def be_at(self, version: str) -> None:
        self.istio = version
        rendered: list[Manifest] = [deployment("istiod", image=f"{HUB}/pilot:{version}"), injector(version)]
        self.renders[ISTIOD.name] = rendered

    def keep(self, release: Release, values: Any) -> None:
        before = self.cluster.storage.kept.get((release.namespace, release.name))
        rendered = self.renders[release.name]
        self.cluster.storage.put(
            installed(
                release,
                helm_revision=before.helm_revision + 1 if before else 1,
                chart_version=self.istio,
                values=values,
                manifest=self.text(rendered),
            )
        )
        for one in rendered:
            self.cluster.objects.put(of_release(one, release), release.namespace)
        if release == ISTIOD:
            self.cluster.live.show(*rolled_out("istiod"), *answering())
        elif release == INGRESS:
            gateway = pod(release.name, image=proxy(self.istio))
            self.cluster.live.show(*rolled_out(release.name, gateway))


def injector(version: str) -> Manifest:
    values = json.dumps({"global": {"hub": HUB, "tag": version}})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio-sidecar-injector"},
        "data": {"values": values},
    }


class Journeys(World):
    """A world whose charts and releases have versions."""

    def __init__(self, cluster: FakeCluster, heard: Heard) -> None:
        super().__init__(cluster, heard)
        self.helm: VersionedHelm = VersionedHelm(cluster)
        self.charts: VersionedCharts = VersionedCharts()
        cluster.objects.admit = lambda manifest: injected(manifest, proxy(self.helm.istio))

    async def upgrade(
        self, version: str, way: UpgradeExtent = UpgradeExtent.ASK, *, asked: MeshRequest | None = None, **how: Any
    ) -> UpgradeResult:
        return await upgrade(
            asked or request_for(version),
            UpgradeOptions(way=way, **how),
            self.runtime,
        )

    def have_sidecar(self, version: str, *, kind: str = "ReplicaSet") -> None:
        """Let a user's pod have a proxy of a version."""
        cart = pod("cart", name=SHOP.name, image=proxy(version), namespace=SHOP.namespace)
        cart["metadata"]["ownerReferences"] = [{"controller": True, "kind": kind, "name": "cart-1"}]
        self.cluster.objects.put(cart)
        owner = {"ownerReferences": [{"controller": True, "kind": "Deployment", "name": "cart"}]}
        of_shop = {"namespace": SHOP.namespace}
        self.cluster.objects.put(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "cart-1", **of_shop, **owner}}
        )
        self.cluster.objects.put(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart", **of_shop}, "spec": {}}
        )

    @property
    def versions(self) -> set[str]:
        return {one.chart_version for one in self.cluster.storage.kept.values()}
