"""Rendering the releases that must be written, and reading back those that need not be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.changes import reasons_to_write
from nksmesh.domain.plan.plan import Action, ReleaseChange
from nksmesh.domain.values.layers import compose
from nksmesh.engine.ports import Cluster, Helm


@dataclass(frozen=True, kw_only=True)
class InstalledState:
    """What the cluster shows of a mesh's releases.

    Attributes:
        installed: What Helm has stored, by (namespace, name).
    """

    kubernetes: str
    installed: Mapping[tuple[str, str], InstalledRelease] = field(default_factory=dict)
    record: Record | None = None


async def render_releases(
    mesh: Mesh, charts: Mapping[str, Chart], seen: InstalledState, cluster: Cluster | None, helm: Helm
) -> dict[str, ReleaseChange]:
    """Decide for each release whether it must be written, and render those that must, all at once.

    A release that need not be written is read from what Helm has stored of it. Where there is no record to go by, it
    is rendered in the mode Helm last used (charts from 1.28.6 on render otherwise on upgrade), and compared.

    Returns:
        What is to become of each release, by its name.

    Raises:
        ChartError: A chart does not render.
        ClusterError: Helm reaches another cluster than this program, or none.
    """
    decided = [_decide(mesh, charts, seen, index) for index in range(len(mesh.releases))]
    unknown = [change for change in decided if not _is_known(change, seen)]
    rendered, _ = await asyncio.gather(
        asyncio.gather(*(_render(change, seen.kubernetes, helm) for change in unknown)),
        _prove_same_cluster(cluster, helm, needed=bool(unknown)),
    )
    fresh = {change.release.name: change for change in rendered}
    return {change.release.name: fresh.get(change.release.name) or _read_back(change, helm) for change in decided}


def _decide(mesh: Mesh, charts: Mapping[str, Chart], seen: InstalledState, index: int) -> ReleaseChange:
    release = mesh.releases[index]
    layers = mesh.layers[release.name]
    chart, composed = charts[release.component], compose(layers)
    installed = seen.installed.get(release.key)
    recorded = seen.record.of_release(release) if seen.record else None
    return ReleaseChange(
        release=release,
        chart=chart,
        layers=layers,
        composed=composed,
        manifests=(),
        installed=installed,
        reasons=reasons_to_write(installed, chart, composed.values, recorded),
    )


def _is_known(change: ReleaseChange, seen: InstalledState) -> bool:
    """Tell whether Helm's stored manifest is what the release renders to: this program wrote that very revision."""
    recorded = seen.record.of_release(change.release) if seen.record else None
    return (
        not change.reasons
        and recorded is not None
        and change.installed is not None
        and recorded.helm_revision == change.installed.helm_revision
    )


async def _render(change: ReleaseChange, kubernetes: str, helm: Helm) -> ReleaseChange:
    async def text(*, upgrade: bool) -> str:
        values = change.composed.values
        return await helm.render(change.release, change.chart, values, kubernetes=kubernetes, upgrade=upgrade)

    async def rendered(*, upgrade: bool) -> tuple[Manifest, ...]:
        return helm.parse(await text(upgrade=upgrade))

    stored = change.installed
    if stored is None or change.reasons:
        rendering = await text(upgrade=change.action is Action.UPGRADE)
        return replace(change, text=rendering, manifests=helm.parse(rendering))
    applied = _by_ref(helm.parse(stored.manifest))
    manifests = await rendered(upgrade=stored.helm_revision > 1)
    if _by_ref(manifests) != applied and stored.helm_revision > 1:
        # A rollback goes back to what an install rendered, under a later revision's number.
        first = await rendered(upgrade=False)
        manifests = first if _by_ref(first) == applied else manifests
    reasons = () if _by_ref(manifests) == applied else ("its manifest differs from what the chart renders",)
    return replace(change, manifests=manifests, reasons=reasons)


def _read_back(change: ReleaseChange, helm: Helm) -> ReleaseChange:
    return replace(change, manifests=helm.parse(change.installed.manifest if change.installed else ""))


async def _prove_same_cluster(cluster: Cluster | None, helm: Helm, *, needed: bool) -> None:
    if needed and cluster is not None:
        await helm.prove_same_cluster(await cluster.uid())


def _by_ref(manifests: Iterable[Manifest]) -> dict[ObjectRef, Manifest]:
    return {ref_of(manifest): manifest for manifest in manifests}
