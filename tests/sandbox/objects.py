"""Objects that the tests make, and waits on what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nksmesh.adapters.cluster.api import Api

Object = dict[str, Any]

SECONDS = 15.0


def pod(name: str, *, image: str = "example/app:1", labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


async def make_pod(api: Api, body: Object, *, dry_run: bool = False) -> Object:
    query = {"dryRun": "All"} if dry_run else {}
    return await api.request("POST", "/api/v1/namespaces/default/pods", query=query, body=body)


async def until(api: Api, path: str, name: str, holds: Callable[[Object], Any]) -> Object:
    """Watch one object until something holds of it."""
    return await _first(api, path, f"metadata.name={name}", holds)


async def until_pod(api: Api, name: str, holds: Callable[[Object], Any]) -> Object:
    return await until(api, "/api/v1/namespaces/default/pods", name, holds)


async def until_event(api: Api, name: str, words: str) -> Object:
    """Wait for an event about a pod that says certain words."""
    path = "/api/v1/namespaces/default/events"
    return await _first(api, path, f"involvedObject.name={name}", lambda item: words in item.get("message", ""))


async def _first(api: Api, path: str, fields: str, holds: Callable[[Object], Any]) -> Object:
    """List, then watch, until something holds of an object."""
    async with asyncio.timeout(SECONDS):
        listed = await api.request("GET", path, query={"fieldSelector": fields})
        for item in listed["items"]:
            if holds(item):
                return dict(item)
        query = {"fieldSelector": fields, "resourceVersion": listed["metadata"]["resourceVersion"]}
        async for event in api.stream(path, query):
            if event["type"] in {"ADDED", "MODIFIED"} and holds(event["object"]):
                return dict(event["object"])
    raise AssertionError(f"the watch of {path} ended")


def condition(item: Object, kind: str) -> str:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((str(c["status"]) for c in conditions if c["type"] == kind), "")


def ready(item: Object) -> bool:
    return condition(item, "Ready") == "True"


def waiting(item: Object) -> Object:
    statuses = (item.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})
