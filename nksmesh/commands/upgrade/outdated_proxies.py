"""Workloads whose proxies would be too old for an istiod: refused before a step, or restarted on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nksmesh.commands.upgrade.path import UpgradeOptions
from nksmesh.domain.common.errors import CheckError
from nksmesh.domain.kube.restarts import Outcome, RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.upgrade_path import Hop, proxies_too_old
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import restart_workloads, workloads_of_users


def refuse_old_proxies(
    workloads: Iterable[Workload], hops: tuple[Hop, ...], order: MeshRequest, travel: UpgradeOptions
) -> tuple[str, ...]:
    """Stop before anything is written where the last step would leave a workload's proxy too far behind.

    Returns:
        The same as a warning, where it was forced.

    Raises:
        CheckError: A workload would be left behind, and its restart was not asked for or cannot be.
    """
    last = hops[-1].version
    behind = [
        one
        for one in workloads
        if proxies_too_old(one.proxies, last) and not (travel.restart_workloads and one.restartable)
    ]
    if not behind:
        return ()
    error = _left_behind(behind, last)
    if not order.force_version:
        raise error
    return (f"{error.message}: {', '.join(map(str, behind))}",)


def _left_behind(behind: Collection[Workload], version: str) -> CheckError:
    workloads = "1 workload runs" if len(behind) == 1 else f"{len(behind)} workloads run"
    return CheckError(
        f"{workloads} a proxy that istiod {version} does not serve: it is more than one minor behind",
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
        error = _left_behind(sorted(left), hop.version)
        raise CheckError(error.message, hint=error.hint, detail="\n".join(done.warnings))


async def restart(workloads: Iterable[Workload], proxy: str, runtime: Runtime) -> RestartResult:
    """Restart workloads while the mesh is held.

    Raises:
        HeldError: Another run holds it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    async with runtime.cluster.lease.held("upgrade"):
        return await restart_workloads(workloads, runtime, proxy_image=proxy)
