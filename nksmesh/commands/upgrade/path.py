"""The path as a cluster and the charts' source show it, and how far one run goes on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.workloads import Workload, without_releases
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.versions import minors_between, parse_version
from nksmesh.domain.plan.upgrade_path import Hop, UpgradePath, find_upgrade_path, proxies_too_old
from nksmesh.engine.ports import Charts, Cluster
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.unrecorded import nothing_to_upgrade
from nksmesh.engine.version_change import version_before
from nksmesh.engine.workloads import injected_workloads


class UpgradeExtent(StrEnum):
    """How far one run goes on a path of several steps."""

    ASK = "ask"
    """Nowhere: the path is shown."""
    STEP = "step"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class UpgradeOptions:
    """How an upgrade goes about it.

    Attributes:
        restart_workloads: Restart the workloads that run another proxy.
        dry_run: Plan the first step, and change nothing.
        clear_pending: Clear what somebody else's Helm left pending.
    """

    way: UpgradeExtent = UpgradeExtent.ASK
    restart_workloads: bool = False
    dry_run: bool = False
    rollback_on_failure: bool = False
    clear_pending: bool = False


async def survey_upgrade_path(
    request: MeshRequest,
    mesh: Mesh,
    kubernetes: str,
    cluster: Cluster,
    charts: Charts,
    reading: Awaitable[tuple[Workload, ...]] | None = None,
) -> tuple[UpgradePath, tuple[Workload, ...]]:
    """Find the path from what is installed, and look whether the charts of every step can be had.

    Args:
        mesh: What it comes to; its version is where the path ends.
        reading: The injected workloads, where they are being read already.

    Returns:
        The path, and where it goes to another minor the workloads with a proxy, but for the mesh's own.

    Raises:
        ConfigError: Nothing is installed.
        CheckError: There is no such path.
        ChartError: Its only step's charts cannot be had.
    """
    installed = await cluster.storage.installed(mesh.releases)
    before = version_before(mesh, installed)
    if not before:
        raise await nothing_to_upgrade(mesh, cluster)
    everything = await (reading or injected_workloads(cluster)) if minors_between(before, mesh.version) else ()
    others = without_releases(everything, mesh.releases)
    gateways = [image for workload in everything if workload not in others for image in workload.proxies]
    unfinished = _unfinished(installed.values(), before) or bool(proxies_too_old(gateways, _next_minor(before)))
    question = replace(request.version_question(mesh, kubernetes), verb="upgrade")
    road = find_upgrade_path(question, request.catalog.versions, installed=before, unfinished=unfinished)
    refuse_failures(road.findings)
    alone = len(road.hops) == 1
    hops = await asyncio.gather(*(_with_charts(hop, mesh, request, charts, alone=alone) for hop in road.hops))
    return replace(road, hops=tuple(hops)), others


def hops_to_take(road: UpgradePath, travel: UpgradeOptions) -> tuple[Hop, ...]:
    """Choose the steps that this run takes."""
    return road.hops if travel.way is UpgradeExtent.ALL else road.hops[:1]


def check_hops(road: UpgradePath, travel: UpgradeOptions) -> tuple[Finding, ...]:
    """Judge the steps that a run takes: a failure where nobody said how far to go, else what closes each.

    Where there are several steps, the first failure shows the whole path.
    """
    several, steps = len(road.hops) > 1, "\n".join(road.told())
    if several and travel.way is UpgradeExtent.ASK:
        canary = (
            f" Or run nksmesh canary start --to {road.wanted} to install it beside the old istiod at once."
            if road.canary
            else ""
        )
        message = f"an in-place upgrade from Istio {road.installed} to {road.wanted} takes {len(road.hops)} steps"
        hint = (
            f"Pass --step to take the first of them, or --all to take them all with a health check after each.{canary}"
        )
        return (Finding(id="upgrade.several-steps", message=message, hint=hint, detail=steps, error=ConfigError),)
    failures = [replace(failure, detail="") for hop in hops_to_take(road, travel) for failure in hop.failures]
    return tuple(replace(failure, detail=steps if several else "") for failure in failures[:1]) + tuple(failures[1:])


def _unfinished(installed: Iterable[InstalledRelease], version: str) -> bool:
    """Tell whether a run did not bring what stands on istiod to its version; base may be later, and serves both."""
    others = [release for release in installed if release.chart != BASE.name]
    return any(not release.deployed or release.chart_version != version for release in others)


def _next_minor(version: str) -> str:
    major, minor, _ = parse_version(version)
    return f"{major}.{minor + 1}.0"


async def _with_charts(hop: Hop, mesh: Mesh, request: MeshRequest, charts: Charts, *, alone: bool) -> Hop:
    """Look whether the charts of a step can be had: where one cannot, the path is closed there.

    Raises:
        ChartError: The only step's cannot: there is no path to tell of.
    """
    if hop.failures:
        return hop
    components = dict.fromkeys(release.component for release in mesh.releases)
    refs = [ChartRef(name=name, version=hop.version, source=mesh.chart_source) for name in components]
    try:
        await charts.fetch(refs, lock=request.lock, locked=request.locked)
    except ChartError as error:
        if alone:
            raise
        missing = Finding(
            id="upgrade.missing-chart",
            subject=hop.version,
            message=error.message,
            hint=error.hint,
        )
        return replace(hop, findings=(*hop.findings, missing))
    return hop
