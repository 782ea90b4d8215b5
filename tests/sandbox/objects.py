"""Objects that the tests make, and waits on what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nksmesh.sandbox.api import ClusterApi

Object = dict[str, Any]

SECONDS = 15.0


def pod(name: str, *, image: str = "example/app:1", labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


async def make_pod(api: ClusterApi, body: Object, *, dry_run: bool = False) -> Object:
    return await api.post("/api/v1/namespaces/default/pods", body, **({"dryRun": "All"} if dry_run else {}))


async def until(api: ClusterApi, path: str, name: str, holds: Callable[[Object], Any]) -> Object:
    """Watch one object until something holds of it."""
    async with asyncio.timeout(SECONDS):
        listed = await api.get(path, fieldSelector=f"metadata.name={name}")
        for item in listed["items"]:
            if holds(item):
                return dict(item)
        version = listed["metadata"]["resourceVersion"]
        async for kind, item in api.watch(path, version, fieldSelector=f"metadata.name={name}"):
            if kind in {"ADDED", "MODIFIED"} and holds(item):
                return item
    raise AssertionError(f"the watch of {name} ended")


async def until_pod(api: ClusterApi, name: str, holds: Callable[[Object], Any]) -> Object:
    return await until(api, "/api/v1/namespaces/default/pods", name, holds)


async def until_event(api: ClusterApi, name: str, words: str) -> Object:
    """Wait for an event about a pod that says certain words."""
    path = "/api/v1/namespaces/default/events"
    async with asyncio.timeout(SECONDS):
        listed = await api.get(path, fieldSelector=f"involvedObject.name={name}")
        for item in listed["items"]:
            if words in item.get("message", ""):
                return dict(item)
        async for _, item in api.watch(
            path, listed["metadata"]["resourceVersion"], fieldSelector=f"involvedObject.name={name}"
        ):
            if words in item.get("message", ""):
                return item
    raise AssertionError(f"no event of {name} says {words!r}")


def condition(item: Object, kind: str) -> str:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((str(c["status"]) for c in conditions if c["type"] == kind), "")


def ready(item: Object) -> bool:
    return condition(item, "Ready") == "True"


def waiting(item: Object) -> Object:
    statuses = (item.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})
