"""The simulated nodes: plain Node objects that kwok keeps alive; and the wait until they take pods."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest, Query
from nksmesh.domain.kube.readiness import is_ready
from nksmesh.sandbox.releases import Kubernetes

if TYPE_CHECKING:
    from nksmesh.adapters.cluster.api import Api

# addresses of a network kept for documentation: nothing listens there, but in a data plane
NODE_RANGE: Final = "198.51.100.0/24"
NODES: Final = {"sandbox-1": "198.51.100.1", "sandbox-2": "198.51.100.2"}
PLATFORM: Final = "linux/amd64"
KUBELET_PORT: Final = 10250


_LEASES: Final = Query("coordination.k8s.io/v1", "Lease", "kube-node-lease")
_ACCOUNTS: Final = Query("v1", "ServiceAccount", "default")


async def create_nodes(api: Api, kubernetes: Kubernetes) -> None:
    """Register the nodes, as their kubelets would, unless they are there."""
    for name, address in NODES.items():
        with unless("AlreadyExists"):
            await api.request("POST", "/api/v1/nodes", body=_node(name, address, kubernetes))


async def nodes_ready(api: Api) -> None:
    """Wait until every node takes pods, kwok keeps it, and a pod finds the default service account.

    A node that was Ready may be so from before: kwok keeps those whose leases it holds.
    """
    from nksmesh.adapters.cluster.live import LiveView
    from nksmesh.adapters.cluster.objects import Objects

    async with LiveView(api, Objects(api)) as live:
        await live.follow([Query("v1", "Node"), _LEASES, _ACCOUNTS])
        while True:
            version = live.version
            held = {lease["metadata"]["name"] for lease in live.find("Lease")}
            ready = {node["metadata"]["name"] for node in live.find("Node") if _takes_pods(node)}
            if NODES.keys() <= ready & held and live.find("ServiceAccount"):
                return
            await live.changed(version)


async def release_nodes(api: Api) -> None:
    """Delete the nodes' leases: a kwok started anew waits for those of the last one to expire, 40 s."""
    for node in NODES:
        with unless("NotFound"):
            await api.request("DELETE", f"/apis/{_LEASES.api_version}/namespaces/{_LEASES.namespace}/leases/{node}")


@contextlib.contextmanager
def unless(reason: str) -> Iterator[None]:
    """Let the API server refuse what a block asks for, for one reason, such as ``NotFound``."""
    try:
        yield
    except RefusedError as error:
        if error.reason != reason:
            raise


def _takes_pods(node: Manifest) -> bool:
    return is_ready(node) and not node["spec"].get("taints")


def _node(name: str, address: str, kubernetes: Kubernetes) -> dict[str, Any]:
    capacity = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "1Ti", "pods": "250"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/worker": "",
            },
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "allocatable": capacity,
            "capacity": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://1.6.0",
                "kernelVersion": "",
                "kubeProxyVersion": f"v{kubernetes.release}",
                "kubeletVersion": f"v{kubernetes.release}",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated by kwok",
                "systemUUID": "",
            },
        },
    }
