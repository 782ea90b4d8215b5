"""The pipeline from a request to rendered releases: resolve, fetch, compose, render, check.

Every command that renders goes this way: those that plan for a cluster, and those that have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, Release
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.mesh.catalog import Catalog
from nksmesh.domain.mesh.location import locate
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import check_no_canary
from nksmesh.domain.mesh.resolve import Resolved, resolve
from nksmesh.domain.mesh.versions import forgiven
from nksmesh.domain.plan.load_balancers import check_load_balancers
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.discovery import check_foreign, list_istiods, record_for
from nksmesh.engine.hidden_releases import check_unseen, look_for
from nksmesh.engine.location import read_zones
from nksmesh.engine.ports import Charts, Cluster, Helm
from nksmesh.engine.rendering import InstalledState, render_releases
from nksmesh.engine.request import ClusterState, MeshRequest
from nksmesh.engine.setters import prove_setters
from nksmesh.engine.version_change import Former, check_renders_after


@dataclass(frozen=True, kw_only=True)
class RenderedMesh:
    """A mesh's releases, rendered and checked.

    Attributes:
        findings: What the checks found that stops nothing.
    """

    changes: Mapping[str, ReleaseChange]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class OfflineMesh:
    """A mesh that was rendered without a cluster.

    Attributes:
        charts: The chart of each component.
    """

    resolved: Resolved
    charts: Mapping[str, Chart]
    rendered: RenderedMesh


async def render_offline(request: MeshRequest, helm: Helm, charts: Charts, *, listener: Listener) -> OfflineMesh:
    """Render a mesh without a cluster: for the newest Kubernetes that its version supports.

    Raises:
        ConfigError: The request is not complete without a cluster: it names no region and no hub.
        ChartError: A chart cannot be had, does not render, or names an image outside the hub.
        CheckError: The version is not provided.
    """
    resolved = (await resolve_mesh(request, None)).resolved
    versions = request.judge_version(resolved.mesh, "")
    refuse_failures(versions)
    fetched = await fetch_charts(request, resolved.mesh, charts, listener)
    state = InstalledState(kubernetes=_newest_kubernetes(request.catalog, resolved.mesh.version))
    rendered = await render_mesh(resolved.mesh, fetched, state, helm)
    findings = (*versions, *rendered.findings)
    return OfflineMesh(resolved=resolved, charts=fetched, rendered=replace(rendered, findings=findings))


async def resolve_mesh(request: MeshRequest, cluster: Cluster | None, *, to_write: bool = True) -> ClusterState:
    """Find out which mesh is meant: from the request, the cluster's version, and what an earlier run recorded.

    Args:
        cluster: The cluster; None resolves without one.
        to_write: The mesh is to be written: an istiod of another tool stops that.

    Raises:
        ConfigError: The request contradicts itself, or names what does not exist.
        ClusterError: The cluster cannot be reached, or refuses, or has an istiod of another tool.
    """
    if cluster is None:
        return ClusterState(resolved=resolve(request.options, request.catalog, request.environment))
    fresh = to_write and request.scope is None and not request.take_over
    kubernetes, records, zones, istiods = await asyncio.gather(
        cluster.version(),
        cluster.records.read_all(),
        read_zones(request, cluster),
        list_istiods(cluster) if fresh else _none(),
    )
    namespace = request.options.namespace or (request.environment.namespace if request.environment else "")
    record = record_for(namespace, records)
    still: Mapping[tuple[str, str], InstalledRelease] = {}
    if record is not None:
        still = await cluster.storage.installed(recorded.release for recorded in record.releases)
        if not still and to_write and not request.take_over:  # a takeover marks objects before Helm has their release
            refuse_failures(await check_unseen(record, cluster))
        record = record if still or (not to_write and any(await look_for(record, cluster))) else None
    if record is None and istiods:
        refuse_failures(await check_foreign(istiods, cluster))
    if request.scope is None:
        refuse_failures(check_no_canary(record))
    settings = request.scope.settings if request.scope else record.settings if record else None
    location = locate(cluster.host, zones, request.catalog.regions, request.catalog.nks)
    resolved = resolve(request.options, request.catalog, request.environment, settings, location, kubernetes)
    resolved = request.scope.of(resolved) if request.scope else resolved
    gone_on_with = forgiven(request.version_question(resolved.mesh, kubernetes), request.catalog.versions)
    resolved = replace(resolved, mesh=replace(resolved.mesh, forced=gone_on_with))
    return ClusterState(kubernetes=kubernetes, record=record, resolved=resolved, location=location, installed=still)


async def fetch_charts(request: MeshRequest, mesh: Mesh, charts: Charts, listener: Listener) -> Mapping[str, Chart]:
    """Fetch the chart of each of a mesh's components.

    Returns:
        The charts, by component.

    Raises:
        ChartError: A chart cannot be had, or is not the one that charts.lock pins.
    """
    refs = chart_refs(mesh)
    fetched = await charts.fetch(list(refs.values()), lock=request.lock, locked=request.locked, listener=listener)
    return {component: fetched[ref] for component, ref in refs.items()}


async def render_mesh(
    mesh: Mesh,
    charts: Mapping[str, Chart],
    state: InstalledState,
    helm: Helm,
    cluster: Cluster | None = None,
    former: Former | None = None,
) -> RenderedMesh:
    """Compose each release's values, render what must be written, and check it.

    Args:
        cluster: The cluster, which Helm must reach as well; None renders without one.
        former: The version that is installed; None where nothing is.

    Raises:
        ChartError: A chart does not render, or its render cannot be used.
        CheckError: A value pins the images to another version.
        ConfigError: An annotation holds a private key.
        ClusterError: Helm reaches another cluster than this program, or none.
    """
    changes = await render_releases(mesh, charts, state, cluster, helm)
    before = former if former is not None and former.version not in {"", mesh.version} else None
    changes = await prove_setters(mesh, changes, helm, kubernetes=state.kubernetes, versions=before is not None)
    findings = (*await check_renders_after(before, mesh, changes), *check_load_balancers(changes))
    refuse_failures(findings)
    return RenderedMesh(changes=changes, findings=findings)


def chart_refs(mesh: Mesh) -> dict[str, ChartRef]:
    """Name the chart of each of a mesh's components."""
    return {
        release.component: ChartRef(
            name=release.component, version=_version_of(release, mesh), source=mesh.chart_source
        )
        for release in mesh.releases
    }


def _newest_kubernetes(catalog: Catalog, version: str) -> str:
    """Name the newest Kubernetes that an Istio version supports; empty, Helm's own default, where none is known."""
    minor = version.rpartition(".")[0]
    newest = next((istio.kubernetes_max for istio in catalog.versions if istio.minor == minor), "")
    return f"v{newest}.0" if newest else ""


def _version_of(release: Release, mesh: Mesh) -> str:
    """Return a release's chart version: an aborted canary left base a later one, which never goes back."""
    later = mesh.revisions.base_version if release.component == BASE.name else ""
    return later or mesh.version


async def _none() -> None:
    return None
