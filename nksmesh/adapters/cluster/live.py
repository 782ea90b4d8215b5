"""A live view of a cluster: lists kept current by watches, so that every wait wakes the moment something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final, Protocol

from nksmesh.adapters.cluster.api import METADATA_LIST, Api
from nksmesh.adapters.cluster.objects import Objects, collection
from nksmesh.domain.common.errors import ClusterError, RefusedError, UnreachableError
from nksmesh.domain.kube.objects import Manifest, Query

_NOT_ALLOWED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts to reach a lost API server, or two watches of which the first ended at once."""

_SHORT: Final = 5.0
"""Seconds: a watch that brought nothing and ended within them ended at once."""

_REFUSED_SECONDS: Final = 20.0
"""How long credentials may be refused before the view gives up: an API server that has just come up refuses all."""


class Told(Protocol):
    """Who is told of an object's change."""

    def __call__(self, kind: str, item: dict[str, Any], /, *, gone: bool) -> None:
        """Take note of the object as it is now, or as it last was."""


class LiveView(AbstractAsyncContextManager["LiveView"]):
    """The current state of what is followed. Use as an asynchronous context manager: leaving it ends the watches."""

    def __init__(self, api: Api, objects: Objects, told: Told | None = None) -> None:
        """Prepare an empty view over a connection; ``told`` hears of every object that comes, changes or goes."""
        self._told = told
        self._api = api
        self._objects = objects
        self._state: dict[Query, dict[tuple[str, str], dict[str, Any]]] = {}
        self._tasks: dict[Query, asyncio.Task[None]] = {}
        self._lost: set[Query] = set()
        self._failure: Exception | None = None
        self._version = 0
        self._waiters: set[asyncio.Future[None]] = set()

    async def __aexit__(self, *_: object) -> None:
        """End the watches."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def lost(self) -> bool:
        """Whether the API server does not answer a watch at the moment."""
        return bool(self._lost)

    async def follow(self, queries: Iterable[Query]) -> tuple[Query, ...]:
        """List what the queries name, and keep it current from then on.

        Returns:
            Those that were not followed before.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        new = [query for query in dict.fromkeys(queries) if query not in self._tasks]
        versions = await asyncio.gather(*(self._list(query) for query in new))
        for query, version in zip(new, versions, strict=True):
            self._begin(query, version)
        return tuple(new)

    async def unfollow(self, queries: Iterable[Query]) -> None:
        """End the watches of queries, and forget what they brought."""
        tasks = {query: task for query in queries if (task := self._tasks.pop(query, None)) is not None}
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for query in tasks:
            self._state.pop(query, None)
            self._lost.discard(query)

    async def follow_from_now(self, query: Query) -> None:
        """Watch what changes from now on, without the list: for kinds that are large or many (CRDs).

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        if query in self._tasks:
            return
        answer = await self._api.request(
            "GET", str(await self._path(query)), query={"limit": "1"}, accept=METADATA_LIST
        )
        self._state[query] = {}
        self._begin(query, str(answer["metadata"]["resourceVersion"]))

    def find(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Return the followed objects of a kind, in a namespace or everywhere."""
        return [
            manifest
            for query, objects in self._state.items()
            if query.kind == kind
            for (where, _), manifest in objects.items()
            if not namespace or where == namespace
        ]

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """Return one followed object, or None where it does not exist."""
        for query, objects in self._state.items():
            if query.kind == kind and (namespace, name) in objects:
                return objects[namespace, name]
        return None

    def put(self, query: Query, manifest: Mapping[str, Any]) -> None:
        """Take in an object that a write returned, whose watch event may still come, or have come before."""
        objects = self._state.setdefault(query, {})
        if not _older(manifest, objects.get(_key(manifest))):
            objects[_key(manifest)] = {"kind": query.kind, **manifest}
            self._notify()

    @property
    def version(self) -> int:
        """Counts the changes: what was judged at one version need not be judged again until the next."""
        return self._version

    async def changed(self, since: int, timeout: float | None = None) -> None:
        """Wait until there is a later version than the one given, or the timeout (seconds) passes.

        Raises:
            ClusterError: The view cannot be kept current any more: the API server refuses to.
        """
        if self._failure is not None:
            raise self._failure
        if self._version != since:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return
        finally:
            self._waiters.discard(waiter)
        if self._failure is not None:
            raise self._failure

    def _tell(self, query: Query, item: dict[str, Any], *, gone: bool = False) -> None:
        if self._told is not None:
            self._told(query.kind, item, gone=gone)

    def _notify(self) -> None:
        self._version += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _path(self, query: Query) -> str | None:
        resource = await self._objects.resource(query.api_version, query.kind)
        return None if resource is None else collection(resource, query.namespace)

    async def _list(self, query: Query) -> str:
        """List what a query names; return the resource version to watch from, empty where it is not served."""
        path = await self._path(query)
        if path is None:
            self._state[query] = {}
            return ""
        answer = await self._api.request("GET", path, query=_selectors(query))
        before = self._state.get(query, {})
        self._state[query] = {_key(item): {"kind": query.kind, **item} for item in answer.get("items") or ()}
        for key in before.keys() - self._state[query].keys():
            self._tell(query, before[key], gone=True)
        for key, item in self._state[query].items():
            if key not in before or _version(before[key]) != _version(item):
                self._tell(query, item)
        self._notify()
        return str(answer["metadata"]["resourceVersion"])

    def _begin(self, query: Query, version: str) -> None:
        task = asyncio.create_task(self._keep_current(query, version))
        task.add_done_callback(self._ended)
        self._tasks[query] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Make every wait fail when a watch has failed for good: it would wait for what nobody sees."""
        if not task.cancelled() and isinstance(failure := task.exception(), Exception):
            self._failure = self._failure or failure
            self._notify()

    async def _keep_current(self, query: Query, version: str) -> None:
        """Watch, and begin anew after every end: a time-out, an expired version, a lost API server."""
        clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
        while version:
            began, last = clock(), version
            try:
                async for event in self._api.stream(
                    str(await self._path(query)),
                    {**_selectors(query), "resourceVersion": version, "allowWatchBookmarks": "true"},
                ):
                    version = self._take(query, event) or version
            except UnreachableError:
                self._lost.add(query)
                self._notify()
            except (_ExpiredError, ClusterError, TimeoutError):
                version = ""
            if version != last or clock() - began > _SHORT:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            if not version or query in self._lost:
                version = await self._list_again(query)

    async def _list_again(self, query: Query) -> str:
        """List until the API server answers; it can only be asked again.

        Raises:
            ClusterError: It does not accept the credentials, and has not for a while.
        """
        clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
        refused_since: float | None = None
        while True:
            try:
                version = await self._list(query)
            except UnreachableError:
                refused_since = None
                self._lost.add(query)
                self._notify()
            except ClusterError as exc:
                refused_since = clock() if refused_since is None else refused_since
                if not _may_pass(exc) and clock() - refused_since >= _REFUSED_SECONDS:
                    raise
            else:
                self._lost.discard(query)
                self._notify()
                if version:
                    return version
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _take(self, query: Query, event: Mapping[str, Any]) -> str:
        """Take one event in; return its resource version."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise _ExpiredError
        objects = self._state[query]
        if kind == "DELETED":
            objects.pop(_key(item), None)
            self._tell(query, item, gone=True)
        elif kind != "BOOKMARK" and not _older(item, objects.get(_key(item))):
            objects[_key(item)] = item
            self._tell(query, item)
        if kind != "BOOKMARK":
            self._notify()
        return _version(item)


class _ExpiredError(Exception):
    """The server no longer has the version to watch from."""


def _may_pass(error: ClusterError) -> bool:
    """Tell whether the API server, asked long enough, may answer otherwise: not where the credentials are no good."""
    return isinstance(error, RefusedError) and error.status not in _NOT_ALLOWED


def _selectors(query: Query) -> dict[str, str]:
    pairs = (("labelSelector", query.labels), ("fieldSelector", query.fields))
    return {key: text for key, text in pairs if text}


def _older(item: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    """Tell whether an object is an earlier state of the one that is known; only numbers tell."""
    versions = [_version(manifest or {}) for manifest in (item, known)]
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])


def _version(item: Mapping[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("resourceVersion", ""))


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    metadata = item["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
