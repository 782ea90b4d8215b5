"""The connection to one API server: requests in, JSON out, every failure in our own words.

Objects travel as plain JSON. The generated model classes of the Kubernetes client are not used: they would cost
time on every answer, and would drop the fields they do not know.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

from nksmesh.adapters.cluster.answers import Answer, tried_again, worth_another_try
from nksmesh.adapters.cluster.connections import aiohttp
from nksmesh.adapters.cluster.kubeconfig import SANDBOX_HINT, read
from nksmesh.adapters.cluster.opening import Client, open_client
from nksmesh.domain.common.errors import ClusterError, RefusedError, UnreachableError

REQUEST_TIMEOUT: Final = 30.0
"""Seconds for one request; an admission webhook may take 30 of its own, so no less."""

_CONNECT_SECONDS: Final = 10.0

WATCH_SECONDS: Final = 300
"""How long the server is asked to keep a watch up."""

SILENCE_SECONDS: Final = 90.0
"""A watch that is quiet for longer is lost: a bookmark comes about once a minute, where the server sends any."""

_AT_ONCE: Final = 12
"""Requests under way at one time: each more is a connection of its own, and a TLS handshake costs more than a turn."""

JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""What an answer may be asked to be: whole, an object's metadata alone, or a list's."""

_MOST_WORDS: Final = 500
"""Characters shown of an answer that is no Status object."""

T = TypeVar("T")

Renewal: TypeAlias = Callable[[], Awaitable[Client]]


class Api(AbstractAsyncContextManager["Api"]):
    """An open connection to an API server. Use as an asynchronous context manager.

    Every method that asks raises ClusterError where the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        client: Client,
        *,
        context: str,
        account: str = "",
        user: Mapping[str, Any] | None = None,
        renew: Renewal | None = None,
    ) -> None:
        """Wrap a configured client; ``Api.connect`` makes one.

        Args:
            user: The credentials, as the kubeconfig has them.
            renew: Makes the same client with fresh credentials; None where they cannot be had anew.

        Attributes:
            requests: How many requests were sent; watches are left out.
            in_sequence: How many of them began one after another's answer: so many round trips at least were waited.
        """
        self._client = client
        self._renew = renew
        self._renewing = asyncio.Lock()
        self._retired: list[Client] = []
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.requests = 0
        self.in_sequence = 0
        self.context = context
        self.account = account
        self._user = user or {}

    @classmethod
    async def connect(cls, *, kubeconfig: Path | None, context: str = "") -> Self:
        """Read the kubeconfig and prepare the connection; nothing is sent yet.

        Args:
            kubeconfig: The file; None for KUBECONFIG, or ~/.kube/config.
            context: A context in it; empty for its current one.

        Raises:
            ClusterError: There is no kubeconfig, or the context is not in it, or its credentials cannot be had.
        """
        chosen = read(kubeconfig, context)
        renew = functools.partial(open_client, chosen) if chosen.renewable else None
        return cls(
            await open_client(chosen), context=chosen.name, account=chosen.account, user=chosen.user, renew=renew
        )

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        for client in (self._client, *self._retired):
            await client.close()

    def credential_ends(self) -> datetime | None:
        """Tell when the user's credential ends; None where it does not say."""
        from nksmesh.adapters.cluster.certificates import credential_ends  # noqa: PLC0415 - a check's alone

        return credential_ends(self._user)

    @property
    def server(self) -> str:
        """The API server's URL, without credentials."""
        return self._client.server

    @property
    def host(self) -> str:
        """The API server's host name."""
        return urlsplit(self.server).hostname or ""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send a request and return the answer's JSON.

        Args:
            path: The path, without the server.
            content_type: The body's type; the patch types matter.

        Raises:
            UnreachableError: Nothing answers.
            RefusedError: The answer is an error.
        """
        answer = await self._ask(method, path, query, body, content_type, accept=accept)
        return self._meaning(answer, method, path)

    async def get(
        self, path: str, *, query: Mapping[str, str] | None = None, accept: str = JSON
    ) -> dict[str, Any] | None:
        """Read an object, or None where there is none."""
        try:
            return await self.request("GET", path, query=query, accept=accept)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def ready(self) -> bool:
        """Ask once whether the API server is ready to serve."""
        try:
            return (await self._ask_once("GET", "/readyz")).status == HTTPStatus.OK
        except ClusterError:
            return False

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """Read an answer that is no JSON: a container's log."""
        answer = await self._ask("GET", path, query)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self._meaning(answer, "GET", path)
        return answer.raw.decode(errors="replace")

    async def taken(
        self, path: str, query: Mapping[str, str], take: Callable[[Any], Awaitable[T]], *, accept: str
    ) -> T:
        """Read an answer that is too large to be held.

        Args:
            take: Reads the body, aiohttp's StreamReader, as it comes.
        """
        answer = await self._ask("GET", path, query, accept=accept, take=take)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self._meaning(answer, "GET", path)
        found: T = answer.taken
        return found

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Yield a watch's events until the server ends it, which it is asked to do after WATCH_SECONDS.

        Raises:
            TimeoutError: Nothing came for SILENCE_SECONDS: nobody may be at the other end.
            ClusterError: The cluster cannot be reached, or refuses.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        asked = {**query, "watch": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        response = await self._accepted("GET", path, asked, timeout=limits)
        try:
            if response.status >= HTTPStatus.BAD_REQUEST:
                self._meaning(Answer(response.status, await response.read()), "GET", path)
            async for line in response.content:
                yield json.loads(line)
        except aiohttp.ServerTimeoutError as exc:
            raise TimeoutError(f"nothing heard for {SILENCE_SECONDS} s") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # a line that breaks off is no JSON
            raise self._unreachable(exc) from exc
        finally:
            _hang_up(response)

    @asynccontextmanager
    async def upgraded(self, path: str, query: Sequence[tuple[str, str]]) -> AsyncIterator[Any]:
        """Open a WebSocket of channels to a pod, aiohttp's ClientWebSocketResponse; it counts as one request.

        It takes a turn only while it is opened, for a forward may last for hours.

        Raises:
            UnreachableError: Nothing answers.
            RefusedError: The API server refuses it.
        """
        url = f"{self.server.rstrip('/')}{path}?{urlencode(query)}"
        async with AsyncExitStack() as opened:
            try:
                async with self._turns:
                    self.requests += 1
                    socket = await opened.enter_async_context(self._channels(url))
            except aiohttp.WSServerHandshakeError as exc:
                self._meaning(Answer(exc.status, b""), "GET", path)
            except (aiohttp.ClientError, OSError) as exc:
                raise self._unreachable(exc) from exc
            yield socket

    @asynccontextmanager
    async def _channels(self, url: str) -> AsyncIterator[Any]:
        """Open a WebSocket, once more with fresh credentials where those at hand are not accepted."""
        client = self._client
        async with AsyncExitStack() as opened:
            try:
                socket = await opened.enter_async_context(client.channels(url))
            except aiohttp.WSServerHandshakeError as exc:
                if exc.status != HTTPStatus.UNAUTHORIZED or self._renew is None:
                    raise
                await self._renewed(client, self._renew)
                socket = await opened.enter_async_context(self._client.channels(url))
            yield socket

    async def _ask(self, method: str, *request: Any, **more: Any) -> Answer:
        """Send a request in its turn, and again where the answer says that later it may be another."""
        answer = await self._ask_once(method, *request, **more)
        if not worth_another_try(method, answer):
            return answer
        return await tried_again(functools.partial(self._ask_once, method, *request, **more), method, answer)

    async def _ask_once(
        self, method: str, *request: Any, take: Callable[[Any], Awaitable[Any]] | None = None, **more: Any
    ) -> Answer:
        async with self._turns:
            self.requests += 1
            before = self.in_sequence
            response = await self._accepted(method, *request, **more)
            self.in_sequence = max(self.in_sequence, before + 1)
            if take is not None and response.status < HTTPStatus.BAD_REQUEST:
                return Answer(response.status, b"", taken=await self._read(response, take(response.content)))
            raw = await self._read(response, response.read())
            return Answer(response.status, raw, response.headers.get("Retry-After", ""))

    async def _accepted(self, *request: Any, **more: Any) -> Any:
        """Send, and once more with fresh credentials where those at hand are not accepted."""
        client = self._client
        response = await self._send(client, *request, **more)
        if response.status != HTTPStatus.UNAUTHORIZED or self._renew is None:
            return response
        response.release()
        await self._renewed(client, self._renew)
        return await self._send(self._client, *request, **more)

    async def _renewed(self, client: Client, renew: Renewal) -> None:
        """Take fresh credentials in place of a client's."""
        async with self._renewing:
            if self._client is client:  # else another request has renewed them meanwhile
                self._client = await renew()
                self._retired.append(client)  # watches may still be on it

    async def _send(
        self,
        client: Client,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        *,
        accept: str = JSON,
        timeout: Any = None,
    ) -> Any:
        """Send, and return aiohttp's response unread."""
        headers = {"Accept": accept, "Content-Type": content_type}
        url = self.server.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, sock_connect=_CONNECT_SECONDS)
        try:
            response = await client.rest.request(method, url, headers, body, _request_timeout=timeout)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise self._unreachable(exc) from exc
        return response.response

    async def _read(self, response: Any, reading: Awaitable[T]) -> T:
        """Read an answer's body; its time is that of the request."""
        try:
            return await reading
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise self._unreachable(exc) from exc
        finally:
            response.release()

    def _unreachable(self, exc: BaseException) -> UnreachableError:
        return UnreachableError(
            f"cannot reach the API server at {self.server}",
            hint=f"Check that the cluster runs and that its address and certificate are right. {SANDBOX_HINT}",
            detail=str(exc) or type(exc).__name__,
        )

    def not_kubernetes(self, words: str) -> ClusterError:
        """Make the error for an answer that no API server would give."""
        return ClusterError(
            f"the server at {self.server} is not a Kubernetes API server",
            hint=f"Check the cluster's address in the kubeconfig, and proxies in between. {SANDBOX_HINT}",
            detail=words,
        )

    def _meaning(self, answered: Answer, method: str, path: str) -> dict[str, Any]:
        """Turn an answer into JSON, or into the error it is."""
        status, raw = answered.status, answered.raw
        try:
            answer = json.loads(raw) if raw else {}
        except ValueError:
            answer = None
        if status < HTTPStatus.BAD_REQUEST:
            if not isinstance(answer, dict):
                raise self.not_kubernetes(raw.decode(errors="replace")[:_MOST_WORDS])
            return answer
        if not isinstance(answer, dict):
            answer = {"message": raw.decode(errors="replace")[:_MOST_WORDS]}
        words = str(answer.get("message", "")) or f"HTTP status {status}"
        message, hint = (
            f"the API server at {self.server} refused {method} {path}",
            "The API server's answer above says why.",
        )
        if status == HTTPStatus.UNAUTHORIZED:
            message = f"the API server at {self.server} does not accept the credentials of context {self.context}"
            hint = "They may have expired: fetch the cluster's kubeconfig again from the NKS console."
        elif status == HTTPStatus.FORBIDDEN:
            message = f"context {self.context} is not allowed to {_verb(method)} {path}"
            hint = "Ask for the cluster-admin role, or for the permission that the API server names."
        reason, causes = str(answer.get("reason", "")), (answer.get("details") or {}).get("causes") or ()
        faults = [(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes]
        raise RefusedError(message, hint=hint, status=status, reason=reason, detail=words, causes=faults)


def _hang_up(response: Any) -> None:
    """End a connection at once: saying farewell over TLS takes longer than the event loop may live."""
    transport = response.connection.transport if response.connection else None
    response.close()
    if transport is not None:
        transport.abort()


def _verb(method: str) -> str:
    return {"GET": "read", "POST": "create", "PUT": "update", "PATCH": "change", "DELETE": "delete"}[method]
