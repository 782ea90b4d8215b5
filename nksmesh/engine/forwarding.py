"""A forward to a Service: each connection goes to a pod that is ready now, whatever became of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError, NotReadyError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query
from nksmesh.domain.kube.services import ServicePort, port_of, ready_pods, selector_of
from nksmesh.engine.ports import Cluster, Connection

_PATIENCE: Final = 30.0
"""Seconds that a connection waits for a ready pod: browsers wait longer."""

_MOMENT: Final = 2.0
"""Seconds within which the watch tells of a pod that is gone."""


class Forwarding:
    """A forward to one port of a Service.

    Attributes:
        pods: The names of the pods that it led to, in order.
        connections: How many it led into a pod.
    """

    def __init__(self, cluster: Cluster, service: ObjectRef, port: str, listener: Listener) -> None:
        """Prepare a forward; ``begin`` reads the cluster.

        Args:
            port: The Service's port, by name or number; empty for its first one.
            listener: Hears which pod it leads to, and why a connection failed.
        """
        self._cluster = cluster
        self._service = service
        self._port = port
        self._listener = listener
        self._followed: tuple[Query, ...] = ()
        self.pods: list[str] = []
        self.connections = 0

    async def begin(self) -> ServicePort:
        """Read the Service, and follow its pods from then on.

        Raises:
            ConfigError: There is no such Service, it has no such port, or it selects no pods.
            ClusterError: The cluster cannot be reached, or refuses.
        """
        ref = self._service
        await self._cluster.live.follow([Query("v1", "Service", ref.namespace, fields=f"metadata.name={ref.name}")])
        service = self._live_service() or {}
        refuse_failures(_check_service(ref, service))
        port = port_of(service, self._port)
        await self._follow_pods(service)
        return port

    async def watch(self, where: str) -> None:
        """Tell which pod connections lead to, whenever it is another one; it goes on until it is cancelled.

        Args:
            where: What people open.

        Raises:
            ClusterError: The view of the cluster cannot be kept current any more.
        """
        live = self._cluster.live
        told: str | None = ""
        while True:
            seen = live.version
            service = self._live_service()
            if service is not None:
                await self._follow_pods(service)
            found = self._ready_pod()
            name = found[0] if found else None
            if name != told:
                told = name
                if name is None:
                    self._tell(EventKind.WARNING, f"no pod of {self._service} is ready: connections wait for one")
                else:
                    self.pods.append(name)
                    self._tell(EventKind.NOTE, f"{where} leads to pod {name}")
            await live.changed(seen)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open a connection into a ready pod, and wait for one where there is none.

        Raises:
            MeshError: No pod becomes ready, or the pod does not answer; the listener was told.
        """
        async with AsyncExitStack() as opened:
            try:
                connection = await self._opened(opened)
                self.connections += 1
                yield connection
            except (ClusterError, NotReadyError) as problem:
                words = f" ({problem.detail.splitlines()[0]})" if problem.detail else ""
                self._tell(EventKind.WARNING, f"a connection failed: {problem.message}{words}")
                raise

    async def _opened(self, stack: AsyncExitStack) -> Connection:
        clock = asyncio.get_running_loop().time
        end = clock() + _PATIENCE
        while True:
            name, port = await self._awaited_pod(end)
            forward = self._cluster.pods.forward(self._service.namespace, name, port)
            try:
                return await stack.enter_async_context(forward)
            except ClusterError:
                if not await self._replaced(name, min(end, clock() + _MOMENT)):
                    raise

    async def _awaited_pod(self, end: float) -> tuple[str, int]:
        clock, live = asyncio.get_running_loop().time, self._cluster.live
        while True:
            seen = live.version
            found = self._ready_pod()
            if found is not None:
                return found
            if clock() >= end:
                raise NotReadyError(
                    f"no pod of {self._service} became ready within {_PATIENCE:g} s",
                    hint=f"Run kubectl get pods -n {self._service.namespace} to see why.",
                )
            await live.changed(seen, end - clock())

    async def _replaced(self, name: str, end: float) -> bool:
        """Tell whether another pod takes a pod's place, or none, before the end."""
        clock, live = asyncio.get_running_loop().time, self._cluster.live
        while True:
            seen = live.version
            found = self._ready_pod()
            if found is None or found[0] != name:
                return True
            if clock() >= end:
                return False
            await live.changed(seen, end - clock())

    async def _follow_pods(self, service: Manifest) -> None:
        """Follow the pods that the Service selects, and others where it selects others now."""
        labels = ",".join(f"{key}={value}" for key, value in selector_of(service).items())
        wanted = (Query("v1", "Pod", self._service.namespace, labels=labels),) if labels else ()
        if wanted != self._followed:
            await self._cluster.live.follow(wanted)
            await self._cluster.live.unfollow(self._followed)
            self._followed = wanted

    def _ready_pod(self) -> tuple[str, int] | None:
        """Return the pod that connections lead to, and its port."""
        service = self._live_service()
        if service is None:
            return None
        try:
            port = port_of(service, self._port)
        except ConfigError:  # it lost the port while it was followed: there is none to lead to
            return None
        pods = ready_pods(service, self._cluster.live.find("Pod", self._service.namespace))
        there = ((str(pod["metadata"]["name"]), port.in_pod(pod)) for pod in pods)
        return next(((name, number) for name, number in there if number is not None), None)

    def _live_service(self) -> Manifest | None:
        return self._cluster.live.get("Service", self._service.name, self._service.namespace)

    def _tell(self, kind: EventKind, message: str) -> None:
        self._listener(Event(step=self._service.name, kind=kind, message=message))


def _check_service(ref: ObjectRef, service: Manifest) -> list[Finding]:
    if not service:
        return [
            Finding(
                id="dashboard.no-service",
                subject=str(ref),
                message=f"there is no {ref}",
                hint="Pass the namespace of the Service with -n, or install the add-on: nksmesh addons install NAME.",
                error=ConfigError,
            )
        ]
    if not selector_of(service):
        return [
            Finding(
                id="dashboard.no-pods",
                subject=str(ref),
                message=f"{ref} selects no pods, so nothing can be forwarded to",
                hint="Name a Service that has a selector.",
                error=ConfigError,
            )
        ]
    return []
