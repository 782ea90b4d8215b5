"""Upgrade: the path from the installed version to the wanted one, step by step, each step an install that is proved.

Workloads keep the proxy they were injected with until they are restarted, and an istiod serves proxies that are one
minor behind it at most (istio-facts 5): a step that would leave one further behind is refused before anything is
written, or the workload is restarted on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nksmesh.commands.install import InstallResult, install
from nksmesh.commands.status import status
from nksmesh.commands.upgrade.path import UpgradeOptions, check_hops, hops_to_take, survey_upgrade_path
from nksmesh.domain.common.data import HIDDEN, fields_of, named
from nksmesh.domain.common.errors import MeshError, NotReadyError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.restarts import Outcome, RestartResult
from nksmesh.domain.kube.workloads import Workload, on_other_proxy
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.versions import minors_between
from nksmesh.domain.plan.upgrade_path import Hop, UpgradePath, proxies_too_old
from nksmesh.engine.pipeline import resolve_mesh
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import restart_workloads, workloads_of_users

HEALTH_STEP: Final = "health"


@dataclass(frozen=True, kw_only=True)
class UpgradeResult:
    """What an upgrade did.

    Attributes:
        steps: What each step that was taken did.
        behind: Workloads that run another proxy than the last step's.
        restarted: What came of restarting them, where that was asked for.
        said: What a reader should know though nothing failed.
    """

    road: UpgradePath
    steps: tuple[InstallResult, ...] = ()
    behind: tuple[Workload, ...] = field(default=(), metadata=named("workloads"))
    restarted: RestartResult | None = None
    dry_run: bool = False
    said: tuple[str, ...] = field(default=(), metadata=HIDDEN)

    @property
    def version(self) -> str:
        """Where it ended."""
        return self.steps[-1].plan.mesh.version if self.steps and not self.dry_run else self.road.installed

    @property
    def left(self) -> tuple[str, ...]:
        """The steps that are still to be taken."""
        taken = 0 if self.dry_run else len(self.steps)
        return tuple(hop.version for hop in self.road.hops[taken:])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return (*self.said, *(self.restarted.warnings if self.restarted else ()))

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What failed after the mesh itself was upgraded."""
        return self.restarted.errors if self.restarted else ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and where the path begins and ends."""
        ends = {"installed": self.road.installed, "wanted": self.road.wanted, "version": self.version}
        return fields_of(self) | ends | {"left": self.left, "warnings": self.warnings}


async def upgrade(request: MeshRequest, travel: UpgradeOptions, runtime: Runtime) -> UpgradeResult:
    """Take an installed mesh to the version that a request names, a minor at a time.

    Raises:
        ConfigError: Nothing is installed, or the path has several steps and nobody said how far to go.
        CheckError: The path is closed: a version on it cannot be had, or runs on no such cluster; or a workload's
            proxy would be too old.
        MeshError: As ``install`` says.
    """
    found = await resolve_mesh(request, runtime.cluster)
    road, proxies = await survey_upgrade_path(
        request, found.resolved.mesh, found.kubernetes, runtime.cluster, runtime.charts
    )
    refuse_failures(check_hops(road, travel))
    hops = hops_to_take(road, travel)
    outdated = _check_proxies(proxies, hops, request, travel)
    refuse_failures(outdated)
    taken: list[InstallResult] = []
    for number, hop in enumerate(hops, start=1):
        going = replace(
            request,
            options=replace(request.options, version=hop.version),
            allow_version_change=True,
            later_versions=tuple(later.version for later in hops[number:]),
        )
        heard = _heard_on_hop(runtime.listener, hop) if len(hops) > 1 else runtime.listener
        on_hop = replace(runtime, listener=heard)
        try:
            if travel.restart_workloads and not travel.dry_run:
                proxy = taken[-1].plan.proxy_image if taken else ""
                await _catch_up(hop, found.resolved.mesh, proxy, on_hop)
            ran = await install(
                going,
                on_hop,
                dry_run=travel.dry_run,
                command="upgrade",
                rollback_on_failure=travel.rollback_on_failure,
                clear_pending=travel.clear_pending,
            )
            taken.append(ran)
            if travel.dry_run:
                break
            if hop is not hops[-1]:
                await _prove_health(ran.plan.mesh.namespace, on_hop)
        except MeshError as error:
            if len(road.hops) > 1:
                error.add_note(_whereabouts(road, taken))
            raise
    said = (*(finding.message for finding in outdated), *_advice(request, taken[-1].plan.mesh))
    if travel.dry_run:
        return UpgradeResult(road=road, steps=tuple(taken), dry_run=True, said=said)
    plan = taken[-1].plan
    if travel.restart_workloads or not minors_between(road.installed, road.wanted):
        proxies = await workloads_of_users(plan.mesh, runtime.cluster)
    behind = on_other_proxy(proxies, plan.proxy_image)  # without restarts they are as they were
    restarted = None
    if behind and travel.restart_workloads:
        restarted = await _restart(behind, plan.proxy_image, runtime)
    return UpgradeResult(road=road, steps=tuple(taken), behind=behind, restarted=restarted, said=said)


def _check_proxies(
    workloads: Iterable[Workload], hops: tuple[Hop, ...], request: MeshRequest, travel: UpgradeOptions
) -> tuple[Finding, ...]:
    """Find workloads whose proxy the last step would leave too far behind, for no restart is asked for or possible.

    Returns:
        A failure; a warning where it is forced.
    """
    last = hops[-1].version
    behind = [
        workload
        for workload in workloads
        if proxies_too_old(workload.proxies, last) and not (travel.restart_workloads and workload.restartable)
    ]
    found = _left_behind(behind, last)
    if request.force_version:
        message = f"{found.message}: {', '.join(map(str, behind))}"
        found = replace(found, level=Level.WARNING, message=message)
    return (found,) if behind else ()


def _left_behind(behind: Collection[Workload], version: str) -> Finding:
    workloads = counted(len(behind), "workload runs", "workloads run")
    return Finding(
        id="upgrade.outdated-proxy",
        message=f"{workloads} a proxy that istiod {version} does not support: it is more than one minor version behind",
        hint="Pass --restart-workloads to restart those that can be restarted. Restart the "
        "rest yourself, or pass --force-version to continue.",
        detail="\n".join(
            f"{workload}: {', '.join(workload.proxies)}"
            + (f" ({workload.not_restartable})" if workload.not_restartable else "")
            for workload in behind
        ),
    )


async def _catch_up(hop: Hop, mesh: Mesh, proxy: str, runtime: Runtime) -> None:
    """Restart the workloads whose proxy the next step's istiod would not serve, on the proxy of the running one.

    Raises:
        CheckError: Some run their old proxy all the same.
        NotReadyError: One did not become ready again.
    """
    workloads = await workloads_of_users(mesh, runtime.cluster)
    behind = [workload for workload in workloads if proxies_too_old(workload.proxies, hop.version)]
    able = [workload for workload in behind if workload.restartable]
    if not able:
        return
    done = await _restart(able, proxy, runtime)
    if done.errors:
        raise done.errors[0]
    if done.warnings:
        left = set(able).difference(restart.workload for restart in done.of(Outcome.RESTARTED))
        refuse_failures([replace(_left_behind(sorted(left), hop.version), detail="\n".join(done.warnings))])


async def _restart(workloads: Iterable[Workload], proxy: str, runtime: Runtime) -> RestartResult:
    """Restart workloads while the mesh is held.

    Raises:
        HeldError: Another run holds it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    async with runtime.cluster.lease.held("upgrade"):
        return await restart_workloads(workloads, runtime, proxy_image=proxy)


async def _prove_health(namespace: str, runtime: Runtime) -> None:
    """Wait until status calls the whole mesh ready: the next step begins from a mesh that works.

    Raises:
        NotReadyError: It is not, when its time is over.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + runtime.waits.component
    runtime.listener(
        Event(step=HEALTH_STEP, kind=EventKind.STARTED, message="every release, and the gateways' proxies")
    )
    while True:
        version = runtime.cluster.live.version
        found = await status(runtime.cluster, runtime.helm, namespace)
        if found.ready and found.releases:
            words = f"{counted(len(found.releases), 'release is', 'releases are')} ready"
            runtime.listener(Event(step=HEALTH_STEP, kind=EventKind.DONE, message=words))
            return
        unready = [row for row in found.releases if not (row.readiness.ready and row.installed.deployed)]
        gone = (f"{release.name}: Helm has no release of it" for release in found.installation.gone)
        words = "; ".join((*(f"{row.release.name}: {row.readiness.message}" for row in unready), *gone))
        if clock() >= deadline:
            runtime.listener(Event(step=HEALTH_STEP, kind=EventKind.FAILED, message=words))
            raise NotReadyError(
                f"the mesh is not ready after this step, so the next one was not started: {words}",
                hint="Run nksmesh status to see the mesh. When it is ready, run the same command again.",
            )
        runtime.listener(Event(step=HEALTH_STEP, kind=EventKind.WAITING, message=words))
        await runtime.cluster.live.changed(version, deadline - clock())


def _heard_on_hop(listener: Listener, hop: Hop) -> Listener:
    """Put the version before every step's name: the steps of one run have the same names on every part of the path."""

    def heard(event: Event) -> None:
        listener(replace(event, step=f"{hop.version} {event.step}"))

    return heard


def _whereabouts(road: UpgradePath, taken: list[InstallResult]) -> str:
    way = " -> ".join((road.installed, *(hop.version for hop in road.hops)))
    return f"the steps were: {way}; reached: {taken[-1].plan.mesh.version if taken else road.installed}"


def _advice(request: MeshRequest, mesh: Mesh) -> tuple[str, ...]:
    """Say where a version is written that the next install would go by."""
    environment = request.environment
    if environment is None or environment.version in {"", mesh.version}:
        return ()
    return (f"{environment.path} has version {environment.version}: change it to {mesh.version}",)
