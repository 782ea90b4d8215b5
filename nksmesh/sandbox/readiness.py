"""When a sandbox is up: its nodes take pods, kwok keeps them, and a pod finds its service account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from nksmesh.sandbox.api import ClusterApi, Object, RefusedError
from nksmesh.sandbox.nodes import NODES

_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


async def nodes_ready(api: ClusterApi) -> None:
    """Wait until every node is Ready, and takes pods."""
    wanted = set(NODES)
    async for node in _objects(api, "/api/v1/nodes"):
        conditions = node.get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        if ready and not node["spec"].get("taints"):
            wanted.discard(node["metadata"]["name"])
        if not wanted:
            return


async def leases_held(api: ClusterApi) -> None:
    """Wait until kwok keeps the nodes: what was Ready may be so from before."""
    wanted = set(NODES)
    async for lease in _objects(api, _LEASES):
        wanted.discard(lease["metadata"]["name"])
        if not wanted:
            return


async def accounts_made(api: ClusterApi) -> None:
    """Wait for what every pod needs: the default service account."""
    async for _ in _objects(api, "/api/v1/namespaces/default/serviceaccounts"):
        return


async def _objects(api: ClusterApi, path: str) -> AsyncIterator[Object]:
    answer = await api.get(path)
    for item in answer.get("items") or []:
        yield item
    version = answer["metadata"]["resourceVersion"]
    async for kind, item in api.watch(path, version):
        if kind in {"ADDED", "MODIFIED"}:
            yield item


async def release_nodes(api: ClusterApi) -> None:
    """Delete the nodes' leases: a kwok started anew waits for those of the last one to expire, 40 s."""
    for node in NODES:
        try:
            await api.delete(f"{_LEASES}/{node}")
        except RefusedError as error:
            if not error.missing:
                raise
