"""A mesh with many injected pods: as heavy as pods with a sidecar are, and cheap to make.

The pods are made by the controllers, from ReplicaSets whose template has the sidecar already, and no scheduler takes
them: what is measured is how they are read.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from bench.stage import MeasureError, Stage
from nksmesh.adapters.cluster.api import Api
from nksmesh.domain.common.errors import ClusterError

_SETTINGS: Final = 110
"""Environment variables of a container: with them the JSON of a pod is 25 kB, as a real one's with a sidecar."""

_LONGEST: Final = 600.0
_AT_ONCE: Final = 20


def fill(stage: Stage, *, namespaces: int, pods: int, proxy: str) -> None:
    """Fill a cluster with injected pods, a Deployment a namespace.

    Args:
        namespaces: How many namespaces are made.
        pods: How many pods they have together.
        proxy: The image of their istio-proxy.

    Raises:
        MeasureError: They are not there in time.
    """
    asyncio.run(_fill(stage, namespaces, pods, proxy))
    stage.settle()


async def _fill(stage: Stage, namespaces: int, pods: int, proxy: str) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)
    async with stage.sandbox.api() as api:

        async def make(number: int) -> None:
            async with turns:
                name = f"team-{number:03}"
                await api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
                each = pods // namespaces + (number < pods % namespaces)
                await _make_workload(api, name, each, proxy)

        await asyncio.gather(*(make(number) for number in range(namespaces)))
        end = time.monotonic() + _LONGEST
        while await _count(api) < pods:
            if time.monotonic() > end:
                raise MeasureError(f"{pods} pods were not made in {_LONGEST:.0f} s")
            await asyncio.sleep(1)


async def _make_workload(api: Api, namespace: str, pods: int, proxy: str) -> None:
    """Make a Deployment that is paused, so that it makes no ReplicaSet, and the ReplicaSet that it would make."""
    labels = {"app": "shop"}
    spec = {"replicas": pods, "selector": {"matchLabels": labels}, "template": _template(labels, proxy)}
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    metadata = {"name": "shop", "labels": labels}
    paused = {"metadata": metadata, "spec": {**spec, "paused": True}}
    deployment = await api.request("POST", f"{apps}/deployments", body=paused)
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "shop",
        "uid": deployment["metadata"]["uid"],
        "controller": True,
    }
    owned = {"name": "shop-1", "labels": labels, "ownerReferences": [owner]}
    await api.request("POST", f"{apps}/replicasets", body={"metadata": owned, "spec": spec})


async def _count(api: Api) -> int:
    try:
        found = await api.request("GET", "/apis/apps/v1/replicasets", query={"labelSelector": "app=shop"})
    except ClusterError:  # an API server that is busy making them may let a question wait too long
        return 0
    return sum(int((workload.get("status") or {}).get("replicas", 0)) for workload in found["items"])


def _template(labels: dict[str, str], proxy: str) -> dict[str, Any]:
    environment = [{"name": f"SETTING_{number:03}", "value": "x" * 20} for number in range(_SETTINGS)]
    status = {"containers": ["istio-proxy"], "initContainers": ["istio-init"], "revision": "default"}
    return {
        "metadata": {
            "labels": {**labels, "security.istio.io/tlsMode": "istio"},
            "annotations": {"istio.io/rev": "default", "sidecar.istio.io/status": json.dumps(status)},
        },
        "spec": {
            "schedulerName": "nobody",
            "containers": [
                {"name": "shop", "image": "shop:1", "env": environment},
                {"name": "istio-proxy", "image": proxy, "env": environment},
            ],
        },
    }
