"""The agent's parts, put together: what it watches, and who acts on what it sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.common.errors import ClusterError
from nksmesh.sandbox.agent import kubelet
from nksmesh.sandbox.agent.admission import allowed, review_of
from nksmesh.sandbox.agent.egress import Refusal, serve_egress
from nksmesh.sandbox.agent.https_server import Request, Response, serve, server_context
from nksmesh.sandbox.agent.istiod import APP, DEFAULT_REVISION, REVISION_LABEL, Istiod, StandIn
from nksmesh.sandbox.agent.load_balancer import address_of, wanted_status
from nksmesh.sandbox.agent.pod_events import PodEvent, event_object, pod_events
from nksmesh.sandbox.api import ClusterApi, Mirror, Object
from nksmesh.sandbox.certificates import FAILURES_SERVICE
from nksmesh.sandbox.control_plane import EGRESS_SOCKET
from nksmesh.sandbox.failures import failure_patch
from nksmesh.sandbox.nodes import KUBELET_PORT, NODES

_WEBHOOK_PORT: Final = 15017

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an agent is started."""

    server: str
    certificates: Path
    load_balancer: bool


class Agent:
    """One sandbox's agent, over one client of its API server."""

    def __init__(self, api: ClusterApi, options: Options) -> None:
        self._api = api
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._stand_ins: dict[Istiod, StandIn] = {}
        self._sockets = count(1)
        self._event_numbers = count(1)
        self._told: dict[str, set[PodEvent]] = {}
        registration = "/apis/admissionregistration.k8s.io/v1"
        self._namespaces = Mirror(api, "/api/v1/namespaces", self._namespace_changed)
        self._services = Mirror(api, "/api/v1/services", self._service_changed)
        self._pods = Mirror(api, "/api/v1/pods", self._pod_changed)
        self._mutating = Mirror(api, f"{registration}/mutatingwebhookconfigurations", self._mutating_changed)
        self._validating = Mirror(api, f"{registration}/validatingwebhookconfigurations", self._validating_changed)

    async def run(self) -> None:
        """Serve and act for ever."""
        certificates = self._options.certificates
        context = server_context(certificates / "agent-server.crt", certificates / "agent-server.key")
        servers = [
            await serve(Path("kubelet.sock"), context, self._answer_as_kubelet),
            await serve(Path("failures.sock"), context, self._answer_failures),
            await serve_egress(Path(EGRESS_SOCKET), self._route),
        ]
        mirrors = (self._namespaces, self._services, self._pods, self._mutating, self._validating)
        try:
            await asyncio.gather(*(mirror.run() for mirror in mirrors))
        finally:
            for server in servers:
                server.close()

    def _route(self, host: str, port: int) -> Path | Refusal:
        """Say who answers on an address of the cluster."""
        if port == KUBELET_PORT and host in NODES.values():
            return Path("kubelet.sock")
        service = self._service_at(host)
        if service is not None:
            return self._server_behind(service)
        pod = next((p for p in self._pods.objects.values() if (p.get("status") or {}).get("podIP") == host), None)
        if pod is not None and port == _WEBHOOK_PORT and (found := self._stand_in_of(pod)) is not None:
            return found
        return Refusal("no Service, node or istiod of this sandbox has that address")

    def _service_at(self, host: str) -> Object | None:
        name, _, rest = host.partition(".")
        namespace = rest.partition(".")[0]
        if rest.partition(".")[2] in {"svc", "svc.cluster.local"}:
            return self._services.objects.get((namespace, name))
        return next((s for s in self._services.objects.values() if s["spec"].get("clusterIP") == host), None)

    def _server_behind(self, service: Object) -> Path | Refusal:
        metadata = service["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}"
        if (metadata["namespace"], metadata["name"]) == FAILURES_SERVICE:
            return Path("failures.sock")
        selector = service["spec"].get("selector") or {}
        for (namespace, _), pod in self._pods.objects.items():
            labels = pod["metadata"].get("labels") or {}
            if namespace == metadata["namespace"] and selector.items() <= labels.items() and selector:
                found = self._stand_in_of(pod)
                if found is not None:
                    return found
        return Refusal(f"Service {name} has no Ready pod of an istiod behind it")

    def _stand_in_of(self, pod: Object) -> Path | None:
        istiod = _istiod_of(pod)
        stand_in = self._stand_ins.get(istiod) if istiod and _is_ready(pod) else None
        return stand_in.socket if stand_in and stand_in.socket.exists() else None

    def _pod_changed(self, pod: Object, *, gone: bool) -> None:
        if gone:
            self._told.pop(pod["metadata"]["uid"], None)
        elif not pod["metadata"].get("deletionTimestamp"):
            self._tell_events(pod)
        istiod = _istiod_of(pod)
        if istiod is None:
            return
        alive = any(_istiod_of(other) == istiod and _is_ready(other) for other in self._pods.objects.values())
        if alive and istiod not in self._stand_ins:
            self._start_stand_in(istiod)
        elif not alive and istiod in self._stand_ins:
            self._spawn(self._stand_ins.pop(istiod).stop())

    def _start_stand_in(self, istiod: Istiod) -> None:
        stand_in = StandIn(istiod, self._api, Path(f"istiod-{next(self._sockets)}.sock"))
        self._stand_ins[istiod] = stand_in
        self._spawn(stand_in.start())
        for namespace in self._namespaces.objects.values():
            stand_in.namespace_seen(namespace["metadata"]["name"])
        for configuration in self._mutating.objects.values():
            stand_in.mutating_seen(configuration)
        for configuration in self._validating.objects.values():
            stand_in.validating_seen(configuration)

    def _namespace_changed(self, namespace: Object, *, gone: bool) -> None:
        terminating = namespace["metadata"].get("deletionTimestamp")
        if not gone and not terminating:
            for stand_in in self._stand_ins.values():
                stand_in.namespace_seen(namespace["metadata"]["name"])

    def _mutating_changed(self, configuration: Object, *, gone: bool) -> None:
        for stand_in in () if gone else self._stand_ins.values():
            stand_in.mutating_seen(configuration)

    def _validating_changed(self, configuration: Object, *, gone: bool) -> None:
        for stand_in in () if gone else self._stand_ins.values():
            stand_in.validating_seen(configuration)

    def _service_changed(self, service: Object, *, gone: bool) -> None:
        if gone or not self._options.load_balancer:
            return
        taken = {address_of(other) for other in self._services.objects.values()}
        status = wanted_status(service, taken)
        if status is None:
            return
        # the mirror learns of its own write later: what is given away now is taken from now on
        service.setdefault("status", {})["loadBalancer"] = status if status["ingress"] else {}
        metadata = service["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"
        self._spawn(self._patch(path, {"status": {"loadBalancer": status}}))

    def _tell_events(self, pod: Object) -> None:
        told = self._told.setdefault(pod["metadata"]["uid"], set())
        for event in pod_events(pod):
            if event not in told:
                told.add(event)
                body = event_object(pod, event, next(self._event_numbers))
                self._spawn(self._post(f"/api/v1/namespaces/{pod['metadata']['namespace']}/events", body))

    async def _patch(self, path: str, body: Object) -> None:
        await self._api.patch(path, body)

    async def _post(self, path: str, body: Object) -> None:
        await self._api.post(path, body)

    async def _answer_as_kubelet(self, request: Request) -> Response:
        return kubelet.answer(request, lambda namespace, name: self._pods.objects.get((namespace, name)))

    async def _answer_failures(self, request: Request) -> Response:
        review = review_of(request)
        return allowed(review, failure_patch(review["request"]["object"], request.target))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except ClusterError as error:
        logger.warning("%s %s", error.message, error.detail)
    except Exception:
        # nobody awaits these: what is not logged here is lost
        logger.exception("the agent failed at a task")


def _istiod_of(pod: Object) -> Istiod | None:
    labels = pod["metadata"].get("labels") or {}
    if labels.get("app") != APP:
        return None
    return Istiod(pod["metadata"]["namespace"], labels.get(REVISION_LABEL) or DEFAULT_REVISION)


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
