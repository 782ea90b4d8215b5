"""The agent's parts, put together: what it watches, and who acts on what it sees."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Collection, Coroutine
from ipaddress import IPv4Network
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.live import LiveView
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import Manifest, Query
from nksmesh.domain.kube.readiness import addresses_of, is_ready
from nksmesh.sandbox.agent import kubelet
from nksmesh.sandbox.agent.admission import allowed, review_of
from nksmesh.sandbox.agent.egress import HandedOn, Refusal, serve_egress
from nksmesh.sandbox.agent.https_server import Request, Response, serve, server_context
from nksmesh.sandbox.agent.istiod import (
    APP,
    DEFAULT_REVISION,
    MUTATING,
    REGISTRATION,
    REVISION_LABEL,
    VALIDATING,
    Istiod,
    StandIn,
)
from nksmesh.sandbox.control_plane import EGRESS_SOCKET, LOAD_BALANCER_RANGE
from nksmesh.sandbox.failures import failure_patch, merge
from nksmesh.sandbox.nodes import KUBELET_PORT, NODES
from nksmesh.sandbox.stages import FAILURES_SERVICE, PLAYED_ANNOTATION, WITH_PROCESSES

if TYPE_CHECKING:
    from nksmesh.sandbox.agent.pulls import Pulls
    from nksmesh.sandbox.data_plane.data_plane import DataPlane

PENDING_ANNOTATION: Final = "nksmesh.io/sandbox-load-balancer"
PENDING: Final = "pending"

_POOL: Final = tuple(str(address) for address in IPv4Network(LOAD_BALANCER_RANGE).hosts())

_WEBHOOK_PORT: Final = 15017

_AGAIN_SECONDS: Final = 0.2
_FOLLOWED: Final = (
    Query("v1", "Namespace"),
    Query("v1", "Service"),
    Query("v1", "Pod"),
    Query(REGISTRATION, MUTATING),
    Query(REGISTRATION, VALIDATING),
)

logger = logging.getLogger(__name__)


class Agent:
    """One sandbox's agent, over one client of its API server.

    Args:
        istio: The folder with Istio's programs; None where the sandbox has no data plane.
        envoy: Envoy's program.
    """

    def __init__(
        self,
        api: Api,
        certificates: Path,
        *,
        load_balancer: bool,
        registry: str = "",
        istio: Path | None = None,
        envoy: Path | None = None,
    ) -> None:
        self._api = api
        self._certificates = certificates
        self._load_balancer = load_balancer
        self._tasks: set[asyncio.Task[None]] = set()
        self._stand_ins: dict[Istiod, StandIn] = {}
        self._sockets = count(1)
        self._event_numbers = count(1)
        self._told: dict[str, set[kubelet.PodEvent]] = {}
        self._pulls = _pulls(api, registry) if registry else None
        self._live = LiveView(api, Objects(api), self._changed)
        self._data_plane: DataPlane | None = None
        if istio and envoy:
            self._data_plane = self._new_data_plane(istio, envoy, registry)

    async def run(self) -> None:
        """Serve and act for ever."""
        context = server_context(self._certificates / "agent-server")
        await serve(Path("kubelet.sock"), context, self._answer_as_kubelet)
        await serve(Path("failures.sock"), context, self._answer_failures)
        async with await serve_egress(Path(EGRESS_SOCKET), self._route), self._live as live:
            await self._follow()
            if self._data_plane:
                self._spawn(self._data_plane.run())
            while True:
                await live.changed(live.version)

    async def _follow(self) -> None:
        """Follow the cluster from when its API server, which starts after the agent, answers."""
        while True:
            with contextlib.suppress(ClusterError):
                await self._live.follow([*_FOLLOWED, *(self._data_plane.followed if self._data_plane else ())])
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    def _new_data_plane(self, istio: Path, envoy: Path, registry: str) -> DataPlane:
        # what speaks to it takes time to import, and most sandboxes have none
        from nksmesh.sandbox.data_plane.data_plane import DataPlane
        from nksmesh.sandbox.data_plane.programs import Programs

        return DataPlane(self._api, self._live, Programs(istio, envoy), registry, self._spawn)

    def _changed(self, kind: str, item: dict[str, Any], /, *, gone: bool) -> None:
        if self._data_plane:
            self._data_plane.changed(kind, item, gone=gone)
        if kind == "Pod":
            self._pod_changed(item, gone=gone)
        elif kind == "Service" and not gone:
            self._service_changed(item)
        elif not gone:
            for stand_in in self._stand_ins.values():
                stand_in.seen(item)

    def _route(self, host: str, port: int) -> Path | HandedOn | Refusal:
        """Say who answers on an address of the cluster: a part of this agent, or else the data plane."""
        if port == KUBELET_PORT and host in NODES.values():
            return self._data_plane.kubelet if self._data_plane else Path("kubelet.sock")
        found = self._own_server(host, port)
        return HandedOn(self._data_plane.proxy) if self._data_plane and isinstance(found, Refusal) else found

    def _own_server(self, host: str, port: int) -> Path | Refusal:
        service = self._service_at(host)
        if service is not None:
            return self._server_behind(service)
        pod = next((p for p in self._live.find("Pod") if (p.get("status") or {}).get("podIP") == host), None)
        if pod is not None and port == _WEBHOOK_PORT and (found := self._stand_in_of(pod)) is not None:
            return found
        return Refusal("no Service, node or istiod of this sandbox has that address")

    def _service_at(self, host: str) -> Manifest | None:
        name, _, rest = host.partition(".")
        namespace = rest.partition(".")[0]
        if rest.partition(".")[2] in {"svc", "svc.cluster.local"}:
            return self._live.get("Service", name, namespace)
        return next((s for s in self._live.find("Service") if s["spec"].get("clusterIP") == host), None)

    def _server_behind(self, service: Manifest) -> Path | Refusal:
        metadata = service["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}"
        if (metadata["namespace"], metadata["name"]) == FAILURES_SERVICE:
            return Path("failures.sock")
        selector = service["spec"].get("selector") or {}
        for pod in self._live.find("Pod", metadata["namespace"]) if selector else ():
            labels = pod["metadata"].get("labels") or {}
            if selector.items() <= labels.items():
                found = self._stand_in_of(pod)
                if found is not None:
                    return found
        return Refusal(f"Service {name} has no Ready pod of an istiod behind it")

    def _stand_in_of(self, pod: Manifest) -> Path | None:
        istiod = _istiod_of(pod)
        stand_in = self._stand_ins.get(istiod) if istiod and _serves(pod) else None
        return stand_in.socket if stand_in and stand_in.socket.exists() else None

    def _pod_changed(self, pod: Manifest, *, gone: bool) -> None:
        if self._pulls:
            self._pulls.seen(pod, gone=gone)
        if gone:
            self._told.pop(pod["metadata"]["uid"], None)
        elif not pod["metadata"].get("deletionTimestamp"):
            self._tell_events(pod)
        istiod = _istiod_of(pod)
        if istiod is None:
            return
        alive = any(_istiod_of(peer) == istiod and _serves(peer) for peer in self._live.find("Pod"))
        if alive and istiod not in self._stand_ins:
            self._start_stand_in(istiod)
        elif not alive and istiod in self._stand_ins:
            self._spawn(self._stand_ins.pop(istiod).stop())

    def _start_stand_in(self, istiod: Istiod) -> None:
        stand_in = StandIn(istiod, self._api, Path(f"istiod-{next(self._sockets)}.sock"))
        self._stand_ins[istiod] = stand_in
        self._spawn(stand_in.start())
        for query in _FOLLOWED:
            for item in self._live.find(query.kind):
                stand_in.seen(item)

    def _service_changed(self, service: dict[str, Any]) -> None:
        if not self._load_balancer:
            return
        taken = {address for known in self._live.find("Service") for address in addresses_of(known)}
        status = wanted_status(service, taken)
        if status is None:
            return
        # the view learns of its own write later: what is given away now is taken from now on
        service.setdefault("status", {})["loadBalancer"] = status if status["ingress"] else {}
        metadata = service["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"
        self._spawn(merge(self._api, path, {"status": {"loadBalancer": status}}))

    def _tell_events(self, pod: Manifest) -> None:
        told = self._told.setdefault(pod["metadata"]["uid"], set())
        for event in kubelet.pod_events(pod):
            if event not in told:
                told.add(event)
                body = kubelet.event_object(pod, event, next(self._event_numbers))
                self._spawn(self._write_event(pod["metadata"]["namespace"], body))

    async def _write_event(self, namespace: str, event: Manifest) -> None:
        await self._api.request("POST", f"/api/v1/namespaces/{namespace}/events", body=event)

    async def _answer_as_kubelet(self, request: Request) -> Response:
        return kubelet.answer(request, lambda namespace, name: self._live.get("Pod", name, namespace))

    async def _answer_failures(self, request: Request) -> Response:
        review = review_of(request)
        return allowed(review, failure_patch(review["request"]["object"], request.target))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pulls(api: Api, registry: str) -> Pulls:
    # what asks a registry takes a quarter of a second to import, and most sandboxes have none
    from nksmesh.sandbox.agent.pulls import Pulls

    return Pulls(api, registry)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except ClusterError as error:
        logger.warning("%s %s", error.message, error.detail)
    except Exception:
        # nobody awaits these: what is not logged here is lost
        logger.exception("the agent failed at a task")


def _istiod_of(pod: Manifest) -> Istiod | None:
    """Say which istiod's stand-in a pod is for; None where it is of none, or of the real one."""
    labels = pod["metadata"].get("labels") or {}
    played = (pod["metadata"].get("annotations") or {}).get(PLAYED_ANNOTATION)
    if labels.get("app") != APP or played == WITH_PROCESSES:
        return None
    return Istiod(pod["metadata"]["namespace"], labels.get(REVISION_LABEL) or DEFAULT_REVISION)


def _serves(pod: Manifest) -> bool:
    return is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def wanted_status(service: Manifest, taken: Collection[str]) -> dict[str, Any] | None:
    """Say what a Service's ``status.loadBalancer`` is to become; None where it is right already.

    The address follows from the Service's name, so that one made again gets the same, unless another
    has it.
    """
    current = addresses_of(service)
    annotations = service["metadata"].get("annotations") or {}
    balanced = service["spec"].get("type") == "LoadBalancer" and annotations.get(PENDING_ANNOTATION) != PENDING
    if not balanced:
        return {"ingress": None} if current else None
    if current:
        return None
    address = service["spec"].get("loadBalancerIP") or _free_address(service, taken)
    return {"ingress": [{"ip": address}]} if address else None


def _free_address(service: Manifest, taken: Collection[str]) -> str:
    metadata = service["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(_POOL)
    return next((a for a in (*_POOL[first:], *_POOL[:first]) if a not in taken), "")
