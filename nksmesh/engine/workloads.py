"""Workloads with injected pods: found, and restarted within their disruption budgets so that they get a new proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final

from nksmesh.domain.common.errors import NotReadyError, RefusedError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.disruption import Obstacle, obstacle
from nksmesh.domain.kube.readiness import conditions_of
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.kube.workloads import (
    ROLLOUT_KINDS,
    Workload,
    on_other_proxy,
    runs,
    why_not_restartable,
    without_releases,
    workloads_of,
)
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.engine.ports import Cluster
from nksmesh.engine.rollouts import BUDGETS, Rollout, found, queries_in, rolled_out
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import WaitOptions


async def workloads_of_users(mesh: Mesh, cluster: Cluster) -> tuple[Workload, ...]:
    """Find the workloads with a proxy that are not the mesh's own gateways.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    return without_releases(await injected_workloads(cluster), mesh.releases)


__all__ = ["RestartResult", "Workload", "injected_workloads", "on_other_proxy", "restart_workloads", "without_releases"]

_FAILED_BEFORE: Final = "another restart failed before it"
_LABELS: Final = "check the istio-injection and istio.io/rev labels of its namespace and pods"


async def injected_workloads(cluster: Cluster, *, namespaces: Collection[str] | None = None) -> tuple[Workload, ...]:
    """Find the workloads with injected pods; a mesh's own gateways are among them (``without_releases``).

    Args:
        namespaces: Where to look; everywhere where it is None.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    scopes = [""] if namespaces is None else list(dict.fromkeys(namespaces))

    async def listed(api_version: str, kind: str) -> list[dict[str, Any]]:
        some = (cluster.objects.list_briefly(api_version, kind, scope) for scope in scopes)
        return [item for found in await asyncio.gather(*some) for item in found]

    pods, replica_sets, *owners = await asyncio.gather(
        listed("v1", "Pod"), *(listed("apps/v1", kind) for kind in ("ReplicaSet", *ROLLOUT_KINDS))
    )
    return workloads_of(pods, replica_sets, chain.from_iterable(owners))


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
    wanted = sorted(set(workloads))
    untouched = [one for one in wanted if not one.restartable]
    restarts = [_kept(one, Outcome.NOT_RESTARTABLE, one.not_restartable, runtime.listener) for one in untouched]
    for namespace, some in groupby((one for one in wanted if one.restartable), key=lambda one: one.namespace):
        if any(one.outcome is Outcome.FAILED for one in restarts):
            restarts += [_kept(one, Outcome.NOT_BEGUN, _FAILED_BEFORE, runtime.listener) for one in some]
            continue
        new = await runtime.cluster.live.follow(queries_in(namespace))
        try:
            one_by_one = _Namespace(tuple(some), runtime.cluster, runtime.waits, runtime.listener, proxy_image)
            restarts += [one async for one in one_by_one.restarts()]
        finally:
            await runtime.cluster.live.unfollow(new)
    return RestartResult(restarts=tuple(restarts))


@dataclass(frozen=True)
class _Namespace:
    """The workloads of one namespace, restarted one after the other."""

    workloads: tuple[Workload, ...]
    cluster: Cluster
    waits: WaitOptions
    listener: Listener
    proxy_image: str

    async def restarts(self) -> AsyncIterator[Restart]:
        """Restart whichever may be restarted now; wait where none may, until one may or the time is over."""
        live, clock = self.cluster.live, asyncio.get_running_loop().time
        left, said = list(self.workloads), dict[Workload, str]()
        deadline = clock() + self.waits.component
        while left:
            version = live.version
            held = {one: why for one in left if (why := self._obstacle(one))}
            free = next((one for one in left if one not in held), None)
            if free is not None:
                left.remove(free)
                yield (restart := await self._restart(free))
                if restart.outcome is Outcome.FAILED:
                    break
                deadline = clock() + self.waits.component
                continue
            over = clock() >= deadline
            for one in [one for one in left if over or held[one].for_good]:
                left.remove(one)
                yield _kept(one, Outcome.HELD_BACK, held[one].message, self.listener)
            for one in left:
                if said.get(one) != held[one].message:
                    said[one] = held[one].message
                    self._tell(one, EventKind.WAITING, held[one].message)
            if left:
                await live.changed(version, deadline - clock())
        for one in left:
            yield _kept(one, Outcome.NOT_BEGUN, _FAILED_BEFORE, self.listener)

    async def _restart(self, workload: Workload) -> Restart:
        clock = asyncio.get_running_loop().time
        began = clock()
        self._tell(workload, EventKind.STARTED, "restart")
        restart = Rollout(workload=workload, cluster=self.cluster, waits=self.waits, listener=self.listener)
        try:
            proved = await restart.run()
        except (NotReadyError, RefusedError) as exc:
            self._tell(workload, EventKind.FAILED, exc.message)
            return Restart(
                workload=workload, outcome=Outcome.FAILED, message=exc.message, seconds=clock() - began, error=exc
            )
        outcome = Outcome.RESTARTED
        if self.proxy_image and not all(runs(self.proxy_image, image) for image in restart.proxies()):
            outcome = Outcome.OTHER_PROXY
            proved = f"{proved}, not {self.proxy_image}: {_LABELS}"
            self._tell(workload, EventKind.WARNING, proved)
        self._tell(workload, EventKind.DONE, proved)
        return Restart(workload=workload, outcome=outcome, message=proved, seconds=clock() - began)

    def _obstacle(self, workload: Workload) -> Obstacle | None:
        """Say what does not let a workload be restarted now."""
        live = self.cluster.live
        now = found(live, workload)
        if now is None:
            return Obstacle("it is gone", for_good=True)
        if why := why_not_restartable(now):
            return Obstacle(why, for_good=True)
        answer = rolled_out(live, workload)
        if not answer.ready:
            exceeded = conditions_of(now).get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
            return Obstacle(f"its last rollout is not finished: {answer.message}", for_good=exceeded)
        return obstacle(now, live.find(BUDGETS.kind, workload.namespace))

    def _tell(self, workload: Workload, kind: EventKind, message: str) -> None:
        self.listener(Event(step=str(workload), kind=kind, message=message))


def _kept(workload: Workload, outcome: Outcome, message: str, listener: Listener) -> Restart:
    """Leave a workload alone, and say why."""
    listener(Event(step=str(workload), kind=EventKind.WARNING, message=f"{outcome.value}: {message}"))
    listener(Event(step=str(workload), kind=EventKind.KEPT, message=outcome.value))
    return Restart(workload=workload, outcome=outcome, message=message)
