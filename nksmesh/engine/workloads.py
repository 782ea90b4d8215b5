"""Workloads with injected pods: found, and restarted within their disruption budgets so that they get a new proxy.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, ClassVar, Final

from nksmesh.domain.common.errors import NotReadyError, RefusedError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.disruption import Obstacle, obstacle
from nksmesh.domain.kube.readiness import conditions_of
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.kube.workloads import (
    ROLLOUT_KINDS,
    Listed,
    Workload,
    runs,
    why_not_restartable,
    without_releases,
    workloads_of,
)
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import Action, Step, in_sequence
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.ports import Cluster, Live
from nksmesh.engine.rollouts import BUDGETS, Rollout, found, queries_in, rolled_out
from nksmesh.engine.runtime import Runtime


async def workloads_of_users(mesh: Mesh, cluster: Cluster) -> tuple[Workload, ...]:
    """Find the workloads with a proxy that are not the mesh's own gateways."""
    return without_releases(await injected_workloads(cluster), mesh.releases)


_FAILED_BEFORE: Final = "another restart failed before it"
_LABELS: Final = "check the istio-injection and istio.io/rev labels of its namespace and pods"


async def injected_workloads(cluster: Cluster, *, namespaces: Collection[str] | None = None) -> tuple[Workload, ...]:
    """Find the workloads with injected pods; a mesh's own gateways are among them (``without_releases``).

    Args:
        namespaces: Where to look; everywhere where it is None.
    """
    listed = await list_workloads(cluster, namespaces=namespaces)
    return workloads_of(listed.pods, listed.replica_sets, listed.owners)


async def list_workloads(cluster: Cluster, *, namespaces: Collection[str] | None = None) -> Listed:
    """List pods and what they may be of, as ``list_briefly`` has them.

    Args:
        namespaces: Where to look; everywhere where it is None.
    """
    scopes = [""] if namespaces is None else list(dict.fromkeys(namespaces))

    async def listed(api_version: str, kind: str) -> list[dict[str, Any]]:
        some = (cluster.objects.list_briefly(api_version, kind, scope) for scope in scopes)
        return [item for found in await asyncio.gather(*some) for item in found]

    pods, replica_sets, *owners = await asyncio.gather(
        listed("v1", "Pod"), *(listed("apps/v1", kind) for kind in ("ReplicaSet", *ROLLOUT_KINDS))
    )
    return Listed(pods=pods, replica_sets=replica_sets, owners=tuple(chain.from_iterable(owners)))


async def restart_workloads(workloads: Iterable[Workload], runtime: Runtime, *, proxy_image: str = "") -> RestartResult:
    """Restart workloads, namespace by namespace and one after the other, each watched until it is rolled out.

    A rollout is not held back by a PodDisruptionBudget, so each restart waits until every budget of its pods allows
    as many disruptions as its strategy may make at once. What no budget ever allows, or not in time, what is not
    rolled out already, and what cannot be restarted is listed and left alone. The first rollout that fails ends it:
    the same would happen to the next.

    The caller holds the lease.

    Args:
        proxy_image: The proxy its pods must run afterwards; empty for whichever they are given.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses to show what is there.
    """
    return (await Executor(restart_steps(workloads, proxy_image=proxy_image), runtime).run()).restarted


def restart_steps(workloads: Iterable[Workload], *, proxy_image: str, without_proxy: bool = False) -> tuple[Step, ...]:
    """Order the restart of workloads: one namespace after the other.

    Args:
        proxy_image: The proxy their pods must run afterwards; empty for whichever they are given.
        without_proxy: Their pods must run none afterwards.
    """
    return in_sequence(
        RestartsStep(
            name=f"restart workloads of {namespace}",
            action=Action.RESTART,
            namespace=namespace,
            workloads=tuple(some),
            proxy_image=proxy_image,
            without_proxy=without_proxy,
        )
        for namespace, some in groupby(sorted(set(workloads)), key=lambda workload: workload.namespace)
    )


@dataclass(frozen=True, kw_only=True)
class RestartsStep(Step):
    """The workloads of one namespace get new pods, one workload after the other.

    Attributes:
        proxy_image: The proxy that their pods must run afterwards; empty for whichever they are given.
        without_proxy: Their pods must run none afterwards.
    """

    quiet: ClassVar[bool] = True

    namespace: str
    workloads: tuple[Workload, ...]
    proxy_image: str
    without_proxy: bool = False


@handles(RestartsStep)
async def restart_namespace(work: StepContext[RestartsStep]) -> str:
    """Restart whichever may be restarted now; wait where none may, until one may or the time is over."""
    live, listener, restarts = work.cluster.live, work.runtime.listener, work.progress.restarts
    for workload in (workload for workload in work.step.workloads if not workload.restartable):
        restarts.append(_kept(workload, Outcome.NOT_RESTARTABLE, workload.not_restartable, listener))
    left = [workload for workload in work.step.workloads if workload.restartable]
    if any(restart.outcome is Outcome.FAILED for restart in restarts):
        restarts += [_kept(workload, Outcome.NOT_BEGUN, _FAILED_BEFORE, listener) for workload in left]
        return ""
    if not left:
        return ""
    new = await live.follow(queries_in(work.step.namespace))
    try:
        restarts += [restart async for restart in _one_by_one(left, work)]
    finally:
        await live.unfollow(new)
    return ""


async def _one_by_one(left: list[Workload], work: StepContext[RestartsStep]) -> AsyncIterator[Restart]:
    live, clock, listener = work.cluster.live, asyncio.get_running_loop().time, work.runtime.listener
    said = dict[Workload, str]()
    deadline = clock() + work.runtime.waits.component
    while left:
        version = live.version
        held = {workload: why for workload in left if (why := _obstacle(workload, live))}
        free = next((workload for workload in left if workload not in held), None)
        if free is not None:
            left.remove(free)
            yield (restart := await _restart(free, work))
            if restart.outcome is Outcome.FAILED:
                break
            deadline = clock() + work.runtime.waits.component
            continue
        over = clock() >= deadline
        for workload in [workload for workload in left if over or held[workload].for_good]:
            left.remove(workload)
            yield _kept(workload, Outcome.HELD_BACK, held[workload].message, listener)
        for workload in left:
            if said.get(workload) != held[workload].message:
                said[workload] = held[workload].message
                _tell(workload, EventKind.WAITING, held[workload].message, listener)
        if left:
            await live.changed(version, deadline - clock())
    for workload in left:
        yield _kept(workload, Outcome.NOT_BEGUN, _FAILED_BEFORE, listener)


async def _restart(workload: Workload, work: StepContext[RestartsStep]) -> Restart:
    clock, listener, proxy = asyncio.get_running_loop().time, work.runtime.listener, work.step.proxy_image
    began = clock()
    _tell(workload, EventKind.STARTED, "restart", listener)
    rollout = Rollout(workload=workload, runtime=work.runtime)
    try:
        proved = await rollout.run()
    except (NotReadyError, RefusedError) as exc:
        _tell(workload, EventKind.FAILED, exc.message, listener)
        return Restart(
            workload=workload, outcome=Outcome.FAILED, message=exc.message, seconds=clock() - began, error=exc
        )
    outcome, images = Outcome.RESTARTED, rollout.proxies()
    if any(images) if work.step.without_proxy else proxy and not all(runs(proxy, image) for image in images):
        outcome = Outcome.OTHER_PROXY
        proved = f"{proved}, not {proxy or 'without a proxy'}: {_LABELS}"
        _tell(workload, EventKind.WARNING, proved, listener)
    _tell(workload, EventKind.DONE, proved, listener)
    return Restart(workload=workload, outcome=outcome, message=proved, seconds=clock() - began)


def _obstacle(workload: Workload, live: Live) -> Obstacle | None:
    """Say what does not let a workload be restarted now."""
    now = found(live, workload)
    if now is None:
        return Obstacle("it no longer exists", for_good=True)
    if why := why_not_restartable(now):
        return Obstacle(why, for_good=True)
    answer = rolled_out(live, workload)
    if not answer.ready:
        exceeded = conditions_of(now).get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
        return Obstacle(f"its last rollout is not finished: {answer.message}", for_good=exceeded)
    return obstacle(now, live.find(BUDGETS.kind, workload.namespace))


def _kept(workload: Workload, outcome: Outcome, message: str, listener: Listener) -> Restart:
    """Leave a workload alone, and say why."""
    _tell(workload, EventKind.WARNING, f"{outcome.value}: {message}", listener)
    _tell(workload, EventKind.KEPT, outcome.value, listener)
    return Restart(workload=workload, outcome=outcome, message=message)


def _tell(workload: Workload, kind: EventKind, message: str, listener: Listener) -> None:
    listener(Event(step=str(workload), kind=kind, message=message))
