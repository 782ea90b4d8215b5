"""The API server as the sandbox's own parts speak to it: JSON over HTTPS, and watches.

The full Kubernetes client takes half a second to import; the agent, and ``up``, need six verbs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from nksmesh.domain.common.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Object = dict[str, Any]

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"

_UNREACHABLE_HINT: Final = "see `nksmesh sandbox status`"
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_GONE: Final = 410
_REFUSED: Final = 400
_WATCH_SECONDS: Final = 600
_AGAIN_SECONDS: Final = 0.2


class RefusedError(ClusterError):
    """The API server answered, and said no."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"the sandbox's API server refused: {message}", hint=_UNREACHABLE_HINT)
        self.status = status
        self.reason = reason

    @property
    def missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == _NOT_FOUND

    @property
    def exists(self) -> bool:
        """Whether what was to be made is there already."""
        return self.status == _CONFLICT and self.reason == "AlreadyExists"


class ClusterApi:
    """A client of one API server; an async context manager."""

    def __init__(self, server: str, certificates: Path, client: str) -> None:
        import httpx  # noqa: PLC0415 - heavy

        context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        context.load_cert_chain(certificates / f"{client}.crt", certificates / f"{client}.key")
        self._http = httpx.AsyncClient(
            base_url=server,
            verify=context,
            trust_env=False,
            timeout=httpx.Timeout(30, connect=5),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        )
        self._failures = (httpx.HTTPError, httpx.StreamError)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the API server says that it is ready to serve."""
        try:
            return (await self._http.get("/readyz")).is_success
        except self._failures:
            return False

    async def get(self, path: str, **params: str) -> Object:
        """Read an object or a list."""
        return await self._json("GET", path, params)

    async def text(self, path: str, **params: str) -> str:
        """Read what is no object: a container's log."""
        return await self._send("GET", path, params)

    async def post(self, path: str, body: Object, **params: str) -> Object:
        """Create an object."""
        return await self._json("POST", path, params, body)

    async def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH, **params: str) -> Object:
        """Change an object."""
        return await self._json("PATCH", path, params, body, content_type)

    async def delete(self, path: str, **params: str) -> Object:
        """Delete an object."""
        return await self._json("DELETE", path, params)

    async def watch(self, path: str, version: str, **params: str) -> AsyncIterator[tuple[str, Object]]:
        """Yield each change since ``version``, until the server ends the watch.

        Raises:
            RefusedError: The version is too old, or the watch is not allowed.
            ClusterError: The API server was lost.
        """
        import httpx  # noqa: PLC0415 - heavy

        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "1", **params}
        query["timeoutSeconds"] = str(_WATCH_SECONDS)
        try:
            async with self._http.stream(
                "GET", path, params=query, timeout=httpx.Timeout(30, read=_WATCH_SECONDS + 30)
            ) as response:
                if response.status_code >= _REFUSED:
                    await response.aread()
                    raise _refusal(response.status_code, response.content)
                async for line in response.aiter_lines():
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        raise _refusal(change["object"].get("code", _GONE), json.dumps(change["object"]))
                    yield change["type"], change["object"]
        except self._failures as error:
            raise _lost(error) from error

    async def _json(self, *request: Any) -> Object:
        answer: Object = json.loads(await self._send(*request))
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        params: dict[str, str],
        body: Any = None,
        content_type: str = "application/json",
    ) -> str:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": content_type}
        try:
            response = await self._http.request(method, path, params=params, content=content, headers=headers)
        except self._failures as error:
            raise _lost(error) from error
        if response.status_code >= _REFUSED:
            raise _refusal(response.status_code, response.content)
        return response.text


class Changed(Protocol):
    """Who is told of an object's change."""

    def __call__(self, item: Object, /, *, gone: bool) -> None:
        """Take note of the object as it is now, or as it last was."""


class Mirror:
    """A copy of one kind's objects, kept current by a watch, through restarts of the API server.

    Attributes:
        objects: The objects by namespace and name.
        filled: Set once the first list is in.
    """

    def __init__(self, api: ClusterApi, path: str, changed: Changed, **params: str) -> None:
        """Mirror what ``path`` lists; ``changed`` is told each object, and whether it is gone."""
        self.objects: dict[tuple[str, str], Object] = {}
        self.filled = asyncio.Event()
        self._api = api
        self._path = path
        self._params = params
        self._changed = changed

    async def run(self) -> None:
        """Follow the objects for ever."""
        while True:
            with contextlib.suppress(ClusterError):
                version = await self._list()
                self.filled.set()
                await self._follow(version)
                continue
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _list(self) -> str:
        answer = await self._api.get(self._path, **self._params)
        current = {_key(item): item for item in answer.get("items") or []}
        for key, gone in list(self.objects.items()):
            if key not in current:
                del self.objects[key]
                self._changed(gone, gone=True)
        for key, item in current.items():
            known = self.objects.get(key)
            self.objects[key] = item
            if known is None or _version(known) != _version(item):
                self._changed(item, gone=False)
        return _version(answer)

    async def _follow(self, version: str) -> None:
        while True:
            async for kind, item in self._api.watch(self._path, version, **self._params):
                version = _version(item)
                if kind == "BOOKMARK":
                    continue
                gone = kind == "DELETED"
                if gone:
                    self.objects.pop(_key(item), None)
                else:
                    self.objects[_key(item)] = item
                self._changed(item, gone=gone)


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _version(item: Object) -> str:
    return str(item["metadata"]["resourceVersion"])


def _refusal(status: int, content: bytes | str) -> RefusedError:
    try:
        answer = json.loads(content)
        return RefusedError(status, str(answer.get("reason", "")), str(answer.get("message", "")))
    except (ValueError, AttributeError):
        return RefusedError(status, "", f"HTTP status {status}")


def _lost(error: Exception) -> ClusterError:
    return ClusterError(
        "the sandbox's API server does not answer",
        hint=_UNREACHABLE_HINT,
        detail=f"{type(error).__name__}: {error}",
    )
