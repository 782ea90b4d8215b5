"""The stand-in for one istiod: what the real one does to a cluster while one of its pods is Ready.

It keeps the mesh's authority in ``istio-ca-secret``, gives it to the webhook configurations of its
revision, makes validators fail closed once they answer, publishes the authority to each namespace, and
answers the webhooks. It does nothing that no other part of a cluster could see.

Like the real one it answers only when it has read Istio's objects. Where their CRDs are not served yet it asks again as
client-go's reflectors do: after 0.8 to 1.6 s, and each time after twice as long, up to 30 s. A real istiod 1.20 that
started before its CRDs answered 1.4 to 1.9 s after they were served.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.agent.admission import allowed, denied, refusal, review_of
from nksmesh.sandbox.agent.https_server import Request, Response, Server, serve, server_context
from nksmesh.sandbox.agent.injection import InjectorConfiguration, injected
from nksmesh.sandbox.certificates import (
    Authority,
    certificate_pem,
    issue,
    key_pem,
    load_authority,
    make_authority,
    write_pair,
)
from nksmesh.sandbox.documents import mapping_from_yaml

APP: Final = "istiod"
REVISION_LABEL: Final = "istio.io/rev"
DEFAULT_REVISION: Final = "default"
ROOT_CONFIG_MAP: Final = "istio-ca-root-cert"

_SECRET: Final = "istio-ca-secret"  # noqa: S105 - an object's name
_AS_ISTIOD: Final = {"fieldManager": "pilot-discovery"}
_WITHOUT_ROOT: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_READ: Final = "/apis/networking.istio.io/v1alpha3/gateways"
_FIRST_BACKOFF: Final = 0.8
_LONGEST_BACKOFF: Final = 30.0
"""Seconds, of client-go's reflectors (its tools/cache, NewExponentialBackoffManager); chance up to doubles each."""

_AGAIN_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
REGISTRATION: Final = "admissionregistration.k8s.io/v1"
MUTATING: Final = "MutatingWebhookConfiguration"
VALIDATING: Final = "ValidatingWebhookConfiguration"

_EXISTS: Final = "AlreadyExists"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Istiod:
    """Which istiod: its namespace and its Istio revision."""

    namespace: str
    revision: str

    @property
    def suffix(self) -> str:
        """What the names of a revisioned istiod's objects end with."""
        return "" if self.revision == DEFAULT_REVISION else f"-{self.revision}"


class StandIn:
    """Plays one istiod from ``start`` to ``stop``."""

    def __init__(self, istiod: Istiod, api: Api, socket: Path) -> None:
        self.istiod = istiod
        self.socket = socket
        self._api = api
        self._started = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._validators: dict[str, asyncio.Task[None]] = {}
        self._server: Server | None = None
        self._root = b""

    async def start(self) -> None:
        """Load or make the authority, and begin to answer."""
        starting = asyncio.create_task(self._prepare())
        self._tasks.add(starting)  # a pod may go while its istiod still backs off
        starting.add_done_callback(self._tasks.discard)
        authority = await starting
        self._root = certificate_pem(authority.certificate)
        service = f"{APP}{self.istiod.suffix}.{self.istiod.namespace}.svc"
        stem = self.socket.with_suffix("")
        write_pair(stem, issue(authority, service, hosts=(service, f"{service}.cluster.local")))
        self._server = await serve(self.socket, server_context(stem), self._answer)
        self._started.set()
        logger.info("istiod %s of %s answers", self.istiod.revision, self.istiod.namespace)

    async def stop(self) -> None:
        """Stop answering and acting, as a deleted pod would."""
        for task in self._tasks:
            task.cancel()
        if self._server:
            await self._server.cleanup()
        self.socket.unlink(missing_ok=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        logger.info("istiod %s of %s is gone", self.istiod.revision, self.istiod.namespace)

    def seen(self, item: Manifest) -> None:
        """Do to an object what istiod does.

        A namespace gets the authority's certificate; a webhook configuration of this revision the authority, and a
        validating one fails closed once this istiod answers. Nothing else concerns it.
        """
        name = item["metadata"]["name"]
        match item["kind"]:
            case "Namespace":
                if name not in _WITHOUT_ROOT and not item["metadata"].get("deletionTimestamp"):
                    self._spawn(self._publish(name))
            case str(kind) if kind == MUTATING and self._concerns(item):
                self._spawn(self._patch_mutating(item))
            case str(kind) if kind == VALIDATING and self._concerns(item):
                running = self._validators.get(name)
                if running is None or running.done():
                    self._validators[name] = self._spawn(self._patch_validating(item))

    def _concerns(self, configuration: Manifest) -> bool:
        labels = configuration["metadata"].get("labels") or {}
        return bool(labels.get(REVISION_LABEL) == self.istiod.revision)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._persist(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _persist(self, work: Coroutine[Any, Any, None]) -> None:
        await self._started.wait()
        try:
            await work
        except ClusterError as error:
            # what is not there any more needs nothing; a lost API server brings every object again
            logger.info("istiod %s gave up: %s", self.istiod.revision, f"{error.message}: {error.detail}")

    async def _authority(self) -> Authority:
        path = f"/api/v1/namespaces/{self.istiod.namespace}/secrets"
        secret = await self._api.get(f"{path}/{_SECRET}")
        if secret is not None:
            data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
            try:
                return load_authority(data["ca-cert.pem"], data["ca-key.pem"])
            except (KeyError, ValueError):
                logger.warning("%s of %s holds no authority of the stand-in's kind", _SECRET, path)
                return make_authority("", "cluster.local")
        authority = make_authority("", "cluster.local")
        certificate = certificate_pem(authority.certificate)
        files = {
            "ca-cert.pem": certificate,
            "ca-key.pem": key_pem(authority.key),
            "cert-chain.pem": b"",
            "key.pem": b"",
            "root-cert.pem": b"",
        }
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "istio.io/ca-root",
            "metadata": {"name": _SECRET, "namespace": self.istiod.namespace},
            "data": {key: base64.b64encode(value).decode() for key, value in files.items()},
        }
        try:
            await self._api.request("POST", path, query=_AS_ISTIOD, body=body)
        except RefusedError as error:
            if error.reason != _EXISTS:
                raise
            return await self._authority()
        return authority

    async def _prepare(self) -> Authority:
        authority = await self._authority()
        await self._read_objects()
        return authority

    async def _read_objects(self) -> None:
        """List what istiod watches, and back off while its CRDs are not served."""
        backoff = _FIRST_BACKOFF
        while await self._api.get(_READ) is None:
            await asyncio.sleep(backoff * (1 + random.random()))  # noqa: S311 - a delay, no secret
            backoff = min(backoff * 2, _LONGEST_BACKOFF)

    async def _publish(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        data = {"root-cert.pem": self._root.decode()}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ROOT_CONFIG_MAP, "labels": {"istio.io/config": "true"}},
            "data": data,
        }
        try:
            await self._api.request("POST", path, query=_AS_ISTIOD, body=body)
        except RefusedError as error:
            if error.reason != _EXISTS:
                raise
            await self._patch(f"{path}/{ROOT_CONFIG_MAP}", {"data": data})

    async def _patch_mutating(self, configuration: Manifest) -> None:
        bundle = base64.b64encode(self._root).decode()
        webhooks = [w for w in configuration["webhooks"] if w["clientConfig"].get("caBundle") != bundle]
        if webhooks:
            changes = [{"name": w["name"], "clientConfig": {"caBundle": bundle}} for w in webhooks]
            await self._patch_webhooks(configuration, changes)

    async def _patch_validating(self, configuration: Manifest) -> None:
        """Set the authority, then flip to Fail: as istiod does, only after a bad Gateway is refused."""
        bundle = base64.b64encode(self._root).decode()
        webhooks = configuration["webhooks"]
        if any(w["clientConfig"].get("caBundle") != bundle for w in webhooks):
            changes = [{"name": w["name"], "clientConfig": {"caBundle": bundle}} for w in webhooks]
            configuration = await self._patch_webhooks(configuration, changes)
        if all(w.get("failurePolicy") == "Fail" for w in configuration["webhooks"]):
            return
        await self._wait_until_refused()
        changes = [{"name": w["name"], "failurePolicy": "Fail"} for w in configuration["webhooks"]]
        await self._patch_webhooks(configuration, changes)

    async def _patch_webhooks(self, configuration: Manifest, changes: Sequence[Manifest]) -> Manifest:
        path = f"/apis/{REGISTRATION}/{configuration['kind'].lower()}s/{configuration['metadata']['name']}"
        return await self._patch(path, {"webhooks": changes})

    async def _patch(self, path: str, body: Manifest) -> Manifest:
        return await self._api.request(
            "PATCH", path, query=_AS_ISTIOD, body=body, content_type="application/strategic-merge-patch+json"
        )

    async def _wait_until_refused(self) -> None:
        path = f"/apis/networking.istio.io/v1alpha3/namespaces/{self.istiod.namespace}/gateways"
        gateway = {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "Gateway",
            "metadata": {"name": "invalid-gateway", "namespace": self.istiod.namespace},
            "spec": {},
        }
        attempt = 0
        while True:
            try:
                await self._api.request("POST", path, query={"dryRun": "All"}, body=gateway)
            except RefusedError as error:
                if "denied the request" in error.detail:
                    return
            await asyncio.sleep(_AGAIN_SECONDS[min(attempt, len(_AGAIN_SECONDS) - 1)])
            attempt += 1

    async def _answer(self, request: Request) -> Response:
        review = review_of(request)
        obj = review["request"].get("object") or {}
        if request.target.startswith("/inject"):
            return allowed(review, injected(obj, await self._configuration()))
        reason = refusal(obj)
        return denied(review, f"configuration is invalid: {reason}") if reason else allowed(review)

    async def _configuration(self) -> InjectorConfiguration:
        maps = f"/api/v1/namespaces/{self.istiod.namespace}/configmaps"
        suffix = self.istiod.suffix
        injector, mesh = await asyncio.gather(
            self._api.request("GET", f"{maps}/istio-sidecar-injector{suffix}"), self._api.get(f"{maps}/istio{suffix}")
        )
        values = mapping_from_yaml((injector.get("data") or {}).get("values", ""))
        settings = mapping_from_yaml(((mesh or {}).get("data") or {}).get("mesh", ""))
        image = (settings.get("defaultConfig") or {}).get("image") or {}
        return InjectorConfiguration(
            values=values, image_type=str(image.get("imageType") or ""), revision=self.istiod.revision
        )
