"""What is read for the checks, and what an install is held to, over fakes."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError, RefusedError
from nksmesh.engine.checks import Reader, check_before_writing
from tests.unit.domain.meshes import EDGE, ISTIOD, change, changes_of, mesh
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.meshes import NAMESPACE, deployment

CHANGES = changes_of(change(ISTIOD, manifests=[deployment("istiod")]), change(EDGE))


def exist(cluster: FakeCluster, *names: str) -> None:
    for name in names:
        cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def asking(memory: object) -> dict[str, Any]:
    """Return a Deployment that asks for so much memory."""
    made = deployment("istiod")
    made["spec"]["template"] = {"spec": {"containers": [{"resources": {"requests": {"memory": memory}}}]}}
    return made


async def test_an_install_deletes_nothing_and_creates_no_namespace_that_is_there(cluster: FakeCluster) -> None:
    exist(cluster, NAMESPACE, "edge")
    kinds = ("Deployment", "Secret", "Lease", "CustomResourceDefinition", "Namespace")
    cluster.objects.forbidden = {("delete", kind) for kind in kinds} | {("create", "Namespace"), ("get", "Namespace")}
    assert await Reader(cluster).denied(CHANGES) == ()


async def test_a_namespace_that_is_missing_must_be_created(cluster: FakeCluster) -> None:
    exist(cluster, NAMESPACE)
    cluster.objects.forbidden = {("create", "Namespace"), ("delete", "Namespace")}
    assert await Reader(cluster).denied(CHANGES) == ("create Namespaces",)


async def test_what_an_install_writes_is_asked_about(cluster: FakeCluster) -> None:
    exist(cluster, NAMESPACE, "edge")
    cluster.objects.forbidden = {("create", "Lease"), ("patch", "CustomResourceDefinition"), ("get", "Deployment")}
    assert await Reader(cluster).denied(CHANGES) == (
        f"get Deployments in {NAMESPACE}",
        "create Leases in kube-system",
        "patch CustomResourceDefinitions",
    )


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (403, "Forbidden", "the kubeconfig's user may not list nodes (Forbidden)"),
        (500, "InternalError", "etcd is not there"),
    ],
)
async def test_only_a_missing_right_is_called_one(cluster: FakeCluster, status: int, reason: str, words: str) -> None:
    cluster.objects.fails["list"] = RefusedError("etcd is not there", hint="", status=status, reason=reason)
    reader = Reader(cluster)
    assert await reader.nodes() is None
    assert reader.unknown == {"nodes": words}


@pytest.mark.parametrize("memory", ["2GB", None, {"odd": "form"}])
async def test_a_quantity_that_is_none_is_left_to_the_api_server(cluster: FakeCluster, memory: object) -> None:
    exist(cluster, NAMESPACE)
    status = {"allocatable": {"cpu": "4", "memory": "8Gi"}}
    cluster.objects.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": status})
    changes = changes_of(change(ISTIOD, manifests=[asking(memory)]))
    assert await check_before_writing(changes, mesh(), cluster, skipped=()) == ()


async def test_nodes_of_an_odd_form_keep_nothing_from_being_written(cluster: FakeCluster) -> None:
    cluster.objects.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": {}})
    changes = changes_of(change(ISTIOD, manifests=[asking("2Gi")]))
    assert await check_before_writing(changes, mesh(), cluster, skipped=()) == ()


async def test_a_pod_that_fits_on_no_node_is_found_and_may_be_left_out(cluster: FakeCluster) -> None:
    status = {"allocatable": {"cpu": "1", "memory": "1Gi"}}
    cluster.objects.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": status})
    changes = changes_of(change(ISTIOD, manifests=[asking("2Gi")]))
    (found,) = await check_before_writing(changes, mesh(), cluster, skipped=())
    assert found.id == "cluster.capacity"
    assert await check_before_writing(changes, mesh(), cluster, skipped=("cluster.capacity",)) == ()


@pytest.mark.parametrize("name", ["cluster.capcity", "cluster.disruption-budget", "network"])
async def test_only_a_check_that_is_made_before_an_install_can_be_left_out(cluster: FakeCluster, name: str) -> None:
    with pytest.raises(ConfigError, match=f"--skip-check {name}: there is no such check before an install") as caught:
        await check_before_writing(CHANGES, mesh(), cluster, skipped=(name,))
    assert "The checks are cluster.permissions, cluster.capacity, network.calico-ebpf, " in caught.value.hint
