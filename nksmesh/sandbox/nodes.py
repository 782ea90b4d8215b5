"""The simulated nodes: plain Node objects that kwok keeps alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nksmesh.sandbox.api import RefusedError
from nksmesh.sandbox.control_plane import KUBERNETES_VERSION

if TYPE_CHECKING:
    from nksmesh.sandbox.api import ClusterApi

# addresses of a network kept for documentation: nothing ever listens there
NODES: Final = {"sandbox-1": "198.51.100.1", "sandbox-2": "198.51.100.2"}
KUBELET_PORT: Final = 10250


async def create_nodes(api: ClusterApi) -> None:
    """Register the nodes, as their kubelets would, unless they are there."""
    for name, address in NODES.items():
        try:
            await api.post("/api/v1/nodes", _node(name, address))
        except RefusedError as error:
            if not error.exists:
                raise


def _node(name: str, address: str) -> dict[str, Any]:
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
                "kubeProxyVersion": f"v{KUBERNETES_VERSION}",
                "kubeletVersion": f"v{KUBERNETES_VERSION}",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated by kwok",
                "systemUUID": "",
            },
        },
    }
