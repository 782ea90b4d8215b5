"""What is around a Service, and what the proxies know of its callers: read from the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.traffic.callers import CONNECTIONS, Caller, callers_among, peers_in
from nksmesh.domain.traffic.envoy import EndpointCounts, NotEnvoyError, clusters_path, counts_of
from nksmesh.domain.traffic.objects import API_VERSIONS
from nksmesh.domain.traffic.recipes import NAMESPACE
from nksmesh.domain.traffic.surroundings import Surroundings
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster, Pods

ADMIN_PORT: Final = 15000
"""Envoy's admin port in Istio's proxies; it listens on the pod's loopback alone."""

_PROXY: Final = "istio-proxy"
_AT_ONCE: Final = 12
"""Proxies that are asked at one time: each is a WebSocket of its own through the API server."""

_MOST_KEPT: Final = 200
"""Connections that are kept open between two looks."""

_MOST_NAMES: Final = 5

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Read:
    """What is in the cluster where recipes are applied.

    Attributes:
        services: The names of the namespace's Services.
        narrowed: The user may not list the pods of other namespaces.
    """

    around: Surroundings
    services: tuple[str, ...]
    narrowed: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A warning where callers of other namespaces were not looked for."""
        message = f"you may not list pods outside namespace {self.around.namespace}: callers there are not known"
        hint = "Ask for the right to list pods in all namespaces."
        narrow = Finding(id="traffic.unseen-callers", level=Level.WARNING, message=message, hint=hint)
        return (narrow,) if self.narrowed else ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What callers' proxies have counted of a Service.

    Attributes:
        counted: By caller.
        silent: Why a proxy could not be asked, by caller.
    """

    counted: dict[Caller, EndpointCounts] = field(default_factory=dict)
    silent: dict[Caller, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A warning where proxies could not be asked: what they have sent is not counted."""
        return _silent(self.silent, "what they sent is not counted", "forward ports", "pods/portforward")


async def read_surroundings(cluster: Cluster, service: str, namespace: str, *, everywhere: bool = False) -> Read:
    """Read a Service, its pods, and the objects that recipes may make.

    Args:
        service: The Service's name; ``*`` for the namespace.
        everywhere: The pods of all namespaces are read, not those of the Service's own alone.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    objects = cluster.objects
    namespaced, services, pods, nodes, *lists = await asyncio.gather(
        objects.get(ObjectRef("v1", "Namespace", namespace), metadata_only=True),
        objects.list("v1", "Service", namespace),
        where_allowed(objects.list("v1", "Pod"), None) if everywhere else objects.list("v1", "Pod", namespace),
        where_allowed(objects.list("v1", "Node", metadata_only=True), []),
        *(_listed(cluster, api_version, kind, namespace) for kind, api_version in API_VERSIONS.items()),
    )
    narrowed = pods is None
    pods = await objects.list("v1", "Pod", namespace) if pods is None else pods
    named = {str(found["metadata"]["name"]): found for found in services}
    around = Surroundings(
        service=service,
        namespace=namespace,
        namespaced=namespaced,
        found=None if service == NAMESPACE else named.get(service),
        pods=tuple(pods),
        objects=tuple(found for some in lists for found in some),
        nodes=tuple(nodes),
    )
    return Read(around=around, services=tuple(named), narrowed=narrowed)


async def _listed(cluster: Cluster, api_version: str, kind: str, namespace: str) -> list[dict[str, Any]]:
    """List objects everywhere, or in the namespace alone where no more is allowed."""
    found = await where_allowed(cluster.objects.list(api_version, kind), None)
    return await cluster.objects.list(api_version, kind, namespace) if found is None else found


class Proxies:
    """The admin ports of callers' proxies; a connection that was opened is kept for the next look."""

    def __init__(self, pods: Pods) -> None:
        """Ask proxies in these pods."""
        self._pods = pods
        self._open: dict[Caller, tuple[AsyncExitStack, Callable[[str], Awaitable[str]]]] = {}

    async def __aenter__(self) -> Self:
        """Begin without a connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open, all at once."""
        await asyncio.gather(*map(self._close, tuple(self._open)))

    async def get(self, caller: Caller, path: str) -> str:
        """Ask one proxy, over a new connection where the kept one is gone.

        Raises:
            ClusterError: It does not answer.
        """
        if caller in self._open:
            try:
                return await self._open[caller][1](path)
            except ClusterError:
                await self._close(caller)
        async with AsyncExitStack() as opened:
            get = await opened.enter_async_context(self._pods.http(caller.namespace, caller.pod, ADMIN_PORT))
            text: str = await get(path)
            if len(self._open) < _MOST_KEPT:
                self._open[caller] = opened.pop_all(), get
            return text

    async def _close(self, caller: Caller) -> None:
        opened, _ = self._open.pop(caller)
        await opened.aclose()


async def read_proxies(proxies: Proxies, callers: Iterable[Caller], service: str, namespace: str) -> Reading:
    """Ask proxies what they have counted of a Service's endpoints; many at once.

    Raises:
        ClusterError: No proxy at all can be asked.
    """
    path = clusters_path(service, namespace)

    async def ask(caller: Caller) -> EndpointCounts:
        text = await proxies.get(caller, path)
        try:
            return counts_of(text, service, namespace)
        except NotEnvoyError as problem:
            raise ClusterError(
                f"port {ADMIN_PORT} of pod {caller} is no Envoy's", hint="Look at the pod.", detail=str(problem)
            ) from problem

    reading = Reading()
    for caller, answer in (await _each(callers, ask)).items():
        if isinstance(answer, ClusterError):
            reading.silent[caller] = _words(answer)
        else:
            reading.counted[caller] = answer
    if reading.silent and not reading.counted:
        first = min(reading.silent)
        raise ClusterError(
            f"none of {counted(len(reading.silent), 'proxy', 'proxies')} answers on its admin port {ADMIN_PORT}",
            hint="Check that you may forward ports: kubectl auth can-i get pods/portforward",
            detail=f"{first}: {reading.silent[first]}",
        )
    return reading


async def read_peers(pods: Iterable[Manifest], inside: Pods) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """Return the addresses that are connected to proxies now, and a warning where proxies could not be asked."""

    async def ask(caller: Caller) -> frozenset[str]:
        return peers_in(await inside.run(caller.namespace, caller.pod, _PROXY, CONNECTIONS))

    addresses: set[str] = set()
    silent: dict[Caller, str] = {}
    for caller, answer in (await _each(callers_among(pods), ask)).items():
        if isinstance(answer, ClusterError):
            silent[caller] = _words(answer)
        else:
            addresses |= answer
    told = _silent(silent, "who is connected to them is not known", "run commands in pods", "pods/exec")
    return frozenset(addresses), told


def _silent(silent: Mapping[Caller, str], consequence: str, right: str, resource: str) -> tuple[Finding, ...]:
    """Name the proxies that could not be asked: a warning, with the first one's reason."""
    some = sorted(silent)
    proxies = counted(len(some), "proxy does", "proxies do")
    return tuple(
        Finding(
            id="traffic.silent-proxies",
            level=Level.WARNING,
            message=f"{proxies} not answer, and {consequence}: {first_few(some, _MOST_NAMES)} ({silent[first]})",
            hint=f"Check that these pods run, and that you may {right}: kubectl auth can-i get {resource}",
        )
        for first in some[:1]
    )


def _words(error: ClusterError) -> str:
    return error.detail.splitlines()[0] if error.detail else error.message


async def _each(keys: Iterable[K], ask: Callable[[K], Awaitable[T]]) -> dict[K, T | ClusterError]:
    """Ask for each key, so many at a time; what cannot be had is its error."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(key: K) -> T | ClusterError:
        async with turns:
            try:
                return await ask(key)
            except ClusterError as problem:
                return problem

    wanted = list(keys)
    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))
