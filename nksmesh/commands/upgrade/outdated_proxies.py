"""Workloads whose proxies would be too old for an istiod: refused before a step, or restarted on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from nksmesh.commands.upgrade.path import UpgradeOptions
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.kube.restarts import Outcome, RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.upgrade_path import Hop, proxies_too_old
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import restart_workloads, workloads_of_users


def check_proxies(
    workloads: Iterable[Workload], hops: tuple[Hop, ...], order: MeshRequest, travel: UpgradeOptions
) -> tuple[Finding, ...]:
    """Find workloads whose proxy the last step would leave too far behind, for no restart is asked for or possible.

    Returns:
        A failure; a warning where it is forced.
    """
    last = hops[-1].version
    behind = [
        one
        for one in workloads
        if proxies_too_old(one.proxies, last) and not (travel.restart_workloads and one.restartable)
    ]
    found = _left_behind(behind, last)
    if order.force_version:
        message = f"{found.message}: {', '.join(map(str, behind))}"
        found = replace(found, level=Level.WARNING, message=message)
    return (found,) if behind else ()


def _left_behind(behind: Collection[Workload], version: str) -> Finding:
    workloads = "1 workload runs" if len(behind) == 1 else f"{len(behind)} workloads run"
    return Finding(
        id="upgrade.outdated-proxy",
        message=f"{workloads} a proxy that istiod {version} does not support: it is more than one minor version behind",
        hint="Pass --restart-workloads to restart those that can be restarted. Restart the "
        "rest yourself, or pass --force-version to continue.",
        detail="\n".join(
            f"{one}: {', '.join(one.proxies)}" + (f" ({one.not_restartable})" if one.not_restartable else "")
            for one in behind
        ),
    )


async def catch_up(hop: Hop, mesh: Mesh, proxy: str, runtime: Runtime) -> None:
    """Restart the workloads whose proxy the next step's istiod would not serve, on the proxy of the running one.

    Raises:
        CheckError: Some run their old proxy all the same.
        NotReadyError: One did not become ready again.
    """
    behind = [
        one for one in await workloads_of_users(mesh, runtime.cluster) if proxies_too_old(one.proxies, hop.version)
    ]
    able = [one for one in behind if one.restartable]
    if not able:
        return
    done = await restart(able, proxy, runtime)
    if done.errors:
        raise done.errors[0]
    if done.warnings:
        left = set(able).difference(one.workload for one in done.of(Outcome.RESTARTED))
        refuse_failures([replace(_left_behind(sorted(left), hop.version), detail="\n".join(done.warnings))])


async def restart(workloads: Iterable[Workload], proxy: str, runtime: Runtime) -> RestartResult:
    """Restart workloads while the mesh is held.

    Raises:
        HeldError: Another run holds it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    async with runtime.cluster.lease.held("upgrade"):
        return await restart_workloads(workloads, runtime, proxy_image=proxy)
