"""What a finished mesh is, and what an untouched cluster is."""

from __future__ import annotations

from tests.cluster.reader import Object, Reader, Ref

HUB = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
PROXY = f"{HUB}/proxyv2:1.20.0"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/nksmesh"
RELEASES = ("istio-base", "istiod", "istio-ingressgateway")
GATEWAY = "app=istio-ingressgateway"


def statuses(cluster: Reader) -> dict[str, str]:
    """For each release, the status of its newest Helm revision."""
    newest: dict[str, tuple[int, str]] = {}
    for one in cluster.items("/api/v1/secrets", labelSelector="owner=helm"):
        labels = one["metadata"]["labels"]
        newest[labels["name"]] = max(newest.get(labels["name"], (0, "")), (int(labels["version"]), labels["status"]))
    return {name: status for name, (_, status) in newest.items()}


def pending(cluster: Reader) -> list[str]:
    """Name the Helm revisions of any age that are left half done."""
    found = cluster.items("/api/v1/secrets", labelSelector="owner=helm")
    return [one["metadata"]["name"] for one in found if one["metadata"]["labels"]["status"].startswith("pending")]


def assert_complete(cluster: Reader, proxy: str = PROXY) -> None:
    """Check that the mesh is whole: releases deployed, the gateway on the hub's image, nobody holding it."""
    assert statuses(cluster) == dict.fromkeys(RELEASES, "deployed")
    assert not pending(cluster)
    assert cluster.images(GATEWAY) == {proxy}
    gateway = cluster.deployment("istio-ingressgateway")
    assert gateway["status"]["availableReplicas"] == gateway["spec"]["replicas"]
    assert cluster.find(LEASE) is None, "the lease is stuck"


def wait_for_gateway(cluster: Reader) -> None:
    """Wait until the gateway's pods, healed, are seen to be Ready: until then their status tells of the failure."""

    def every_pod_is_ready(pods: list[Object]) -> bool:
        conditions = [pod.get("status", {}).get("conditions", ()) for pod in pods]
        return all(any(one["type"] == "Ready" and one["status"] == "True" for one in some) for some in conditions)

    cluster.until("/api/v1/namespaces/istio-system/pods", every_pod_is_ready, labelSelector=GATEWAY)


def difference(before: dict[Ref, str], after: dict[Ref, str]) -> dict[Ref, tuple[str | None, str | None]]:
    """Name what was made, changed or removed in between."""
    return {
        ref: (before.get(ref), after.get(ref))
        for ref in before.keys() | after.keys()
        if before.get(ref) != after.get(ref)
    }
