"""A world for whole runs: a catalog of one region, a cluster, a Helm that keeps what it is given, and charts."""

from __future__ import annotations

import json
from typing import Any

from nksmesh.commands.install import InstallResult, install
from nksmesh.commands.plan import PlanResult, preview
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.catalog import Catalog, Profile
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, Network, Region
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import BASE, EDGE, HUB, INGRESS, ISTIOD, chart, installed
from tests.unit.fakes.cluster import FakeCharts, FakeCluster, FakeHelm, FakeProcesses, Heard
from tests.unit.fakes.meshes import (
    NAMESPACE,
    answering,
    deployment,
    injected,
    of_release,
    pod,
    rolled_out,
    service,
)
from tests.unit.fakes.registries import Table
from tests.unit.fakes.runtime import runtime_of

INJECTOR: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio-sidecar-injector"},
    "data": {"values": json.dumps({"global": {"hub": HUB, "tag": "1.20.0"}})},
}
RENDERS: dict[str, list[Manifest]] = {
    BASE.name: [],
    ISTIOD.name: [deployment("istiod"), INJECTOR],
    INGRESS.name: [deployment(INGRESS.name, image="auto"), service(INGRESS.name, kind="ClusterIP")],
    EDGE.name: [deployment(EDGE.name, namespace="edge", image="auto")],
}
CATALOG = Catalog(
    regions={
        "kr1": Region(
            name="kr1", title="KR1", hubs=dict.fromkeys(Network, HUB), versions=("1.20.0",), kubernetes=("1.28",)
        )
    },
    versions=(
        IstioVersion(
            minor="1.20", kubernetes_min="1.25", kubernetes_max="1.29", kubernetes_floor="1.25", versions=("1.20.0",)
        ),
    ),
    profiles={"default": Profile(name="default", gateways=(GatewaySpec(name=INGRESS.name),), ours=True)},
    components={},
)
REQUEST = MeshRequest(options=Request(region="kr1", version="1.20.0", charts="charts"), catalog=CATALOG)
AGAIN = MeshRequest(options=Request(), catalog=CATALOG)


class KeepingHelm(FakeHelm):
    """A Helm whose releases are in the cluster when they are written."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__()
        self.cluster: FakeCluster = cluster
        self.renders.update(RENDERS)

    async def install(self, release: Release, chart: Chart, values: Any, *, timeout: float) -> None:
        await super().install(release, chart, values, timeout=timeout)
        self.keep(release, values)

    async def upgrade(self, release: Release, chart: Chart, values: Any, *, timeout: float) -> None:
        await super().upgrade(release, chart, values, timeout=timeout)
        self.keep(release, values)

    def keep(self, release: Release, values: Any) -> None:
        """Let the release be there, and ready."""
        before = self.cluster.storage.kept.get((release.namespace, release.name))
        revision = before.helm_revision + 1 if before else 1
        rendered = self.renders[release.name]
        self.cluster.storage.put(
            installed(release, helm_revision=revision, values=values, manifest=self.text(rendered))
        )
        for one in rendered:
            self.cluster.objects.put(of_release(one, release), release.namespace)
        place = release.namespace
        if release == ISTIOD:
            self.cluster.live.show(*rolled_out("istiod"), *answering())
        elif release.component == "gateway":
            self.cluster.live.show(*rolled_out(release.name, pod(release.name, namespace=place), namespace=place))


class World:
    """A cluster, a Helm that keeps what it is given, and charts."""

    def __init__(self, cluster: FakeCluster, heard: Heard) -> None:
        self.cluster, self.heard, self.processes = cluster, heard, FakeProcesses()
        self.helm = KeepingHelm(cluster)
        self.registries: Table | None = None
        self.charts = FakeCharts(*(chart(name) for name in ("base", "istiod", "gateway")))
        cluster.objects.admit = injected
        for name in (NAMESPACE, "edge"):
            cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @property
    def runtime(self) -> Runtime:
        return runtime_of(
            self.cluster,
            helm=self.helm,
            charts=self.charts,
            processes=self.processes,
            listener=self.heard,
            registries=self.registries,
        )

    async def install(self, asked: MeshRequest = REQUEST, *, dry_run: bool = False) -> InstallResult:
        return await install(
            asked,
            self.runtime,
            dry_run=dry_run,
        )

    async def preview(self, asked: MeshRequest = REQUEST, *, diff: bool = False, exit_code: bool = False) -> PlanResult:
        return await preview(
            asked,
            self.runtime,
            diff=diff,
            exit_code=exit_code,
        )

    def wrote(self) -> list[str]:
        return [f"{verb} {name}" for verb, name in self.helm.calls if verb in {"install", "upgrade", "uninstall"}]
