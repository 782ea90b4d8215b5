"""``nksmesh dashboard``: a port of this machine that leads to a Service, until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.addons.dashboards import dashboard_of
from nksmesh.domain.common.addresses import is_loopback
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, Level, warnings_of
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.services import ServicePort
from nksmesh.engine.forwarding import Forwarding
from nksmesh.engine.ports import Cluster, LocalPorts

_LEAST_PORT: Final = 1024
"""Below it only root listens."""


@dataclass(frozen=True, kw_only=True)
class DashboardOrder:
    """What is asked for.

    Attributes:
        name: The name of a dashboard, or of a Service.
        service_port: The Service's port, by name or number; empty for its first one.
        address: Where this machine listens.
        port: On which port; 0 for any that is free, None for the pod's own.
    """

    name: str
    namespace: str
    service_port: str = ""
    address: str = "127.0.0.1"
    port: int | None = None


@dataclass(frozen=True, kw_only=True)
class DashboardClosed:
    """A forward that was ended.

    Attributes:
        url: Where the page was.
        connections: How many connections it led into a pod.
        pods: The pods that it led to, in order.
    """

    service: str
    namespace: str
    url: str
    connections: int
    pods: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


async def forward_dashboard(
    order: DashboardOrder,
    cluster: Cluster,
    ports: LocalPorts,
    show: Callable[[str], Awaitable[object]] | None,
    *,
    listener: Listener,
) -> DashboardClosed:
    """Forward a port of this machine to a Service until the task is cancelled, which is how it ends well.

    Args:
        show: Opens the page for the user; None opens nothing.

    Raises:
        ConfigError: There is no such Service or port, or nothing can listen there.
        ClusterError: The cluster cannot be reached or refuses, or its credentials end.
    """
    dashboard = dashboard_of(order.name)
    ref = ObjectRef("v1", "Service", dashboard.service, order.namespace)
    forwarding = Forwarding(cluster, ref, order.service_port, listener)
    target = await forwarding.begin()
    wanted = _local_port(target) if order.port is None else order.port
    findings = tuple(_check_address(order.address, ref))
    for warning in warnings_of(findings):
        listener(Event(step=ref.name, kind=EventKind.WARNING, message=warning))
    async with ports.listening(order.address, wanted, forwarding.connect) as port:
        url = f"http://{_host(order.address)}:{port}{dashboard.path}"
        opening = asyncio.ensure_future(show(url)) if show else None
        try:
            await forwarding.watch(url)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            if opening:
                opening.cancel()
    return DashboardClosed(
        service=ref.name,
        namespace=ref.namespace,
        url=url,
        connections=forwarding.connections,
        pods=tuple(forwarding.pods),
        findings=findings,
    )


def _local_port(target: ServicePort) -> int:
    """Choose the port to listen on: the pods' own, as istioctl does, where everybody may listen on it."""
    numbers = (number for number in (target.target, target.number) if isinstance(number, int))
    return next((number for number in numbers if number >= _LEAST_PORT), 0)


def _host(address: str) -> str:
    """Name an address as a URL on this machine has it."""
    if address in {"0.0.0.0", "::", ""}:  # noqa: S104 - what a user may have asked for
        return "127.0.0.1" if address != "::" else "[::1]"
    return f"[{address}]" if ":" in address else address


def _check_address(address: str, ref: ObjectRef) -> list[Finding]:
    if is_loopback(address):
        return []
    return [
        Finding(
            id="dashboard.open-port",
            level=Level.WARNING,
            subject=address,
            message=f"everyone who reaches this machine at {address} can use {ref} with your access to the cluster",
            hint="Leave out --address to listen on this machine alone.",
        )
    ]
