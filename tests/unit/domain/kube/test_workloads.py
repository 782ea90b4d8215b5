from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.kube.workloads import (
    Workload,
    is_injected,
    istio_revision_of,
    on_other_proxy,
    why_not_restartable,
    without_releases,
    workloads_of,
)
from tests.unit.domain.manifests import read

HUB = "registry.example/istio"
OLD, NEW = f"{HUB}/proxyv2:1.19.0", f"{HUB}/proxyv2:1.20.0"

Object = dict[str, Any]


def pod(name: str, owner: str = "", image: str = OLD, **metadata: Any) -> Object:
    """A pod of an owner given as ``Kind name``."""
    kind, _, called = owner.partition(" ")
    references = [{"kind": kind, "name": called, "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "shop", "ownerReferences": references, **metadata},
        "spec": {"containers": [{"name": "app", "image": "app:1"}, {"name": "istio-proxy", "image": image}]},
        "status": {"phase": "Running"},
    }


def owner(kind: str, name: str, **spec: Any) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def replica_set(name: str, deployment: str = "") -> Object:
    references = [{"kind": "Deployment", "name": deployment, "controller": True}] if deployment else []
    return {"kind": "ReplicaSet", "metadata": {"name": name, "namespace": "shop", "ownerReferences": references}}


def only(*pods: Object, replica_sets: tuple[Object, ...] = (), owners: tuple[Object, ...] = ()) -> Workload:
    (workload,) = workloads_of(pods, replica_sets, owners)
    return workload


def test_the_pods_of_a_deployments_replica_sets_are_one_workload() -> None:
    found = only(
        pod("cart-1-a", "ReplicaSet cart-1"),
        pod("cart-2-a", "ReplicaSet cart-2", NEW),
        replica_sets=(replica_set("cart-1", "cart"), replica_set("cart-2", "cart")),
        owners=(owner("Deployment", "cart"),),
    )
    assert (str(found), found.pods, found.proxies, found.restartable) == ("Deployment shop/cart", 2, (OLD, NEW), True)
    assert data_of(found)["proxies"] == [OLD, NEW]


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_what_owns_its_pods_itself_can_be_restarted(kind: str) -> None:
    found = only(pod("db-0", f"{kind} db"), owners=(owner(kind, "db"),))
    assert (str(found), found.ref.api_version, found.restartable) == (f"{kind} shop/db", "apps/v1", True)


@pytest.mark.parametrize(
    ("one", "replica_sets", "called", "why"),
    [
        (pod("tool"), (), "Pod shop/tool", "create it again"),
        (pod("once-x", "Job once"), (), "Job shop/once", "start from the beginning"),
        (pod("cart-1-a", "ReplicaSet cart-1"), (replica_set("cart-1"),), "ReplicaSet shop/cart-1", "one by one"),
        (pod("old-x", "ReplicationController old"), (), "ReplicationController shop/old", "one by one"),
        (pod("x", "CloneSet x"), (), "CloneSet shop/x", "the tool that manages CloneSet objects"),
        (pod("cart-1-a", "Deployment cart"), (), "Deployment shop/cart", "was not found"),
    ],
)
def test_what_no_template_restarts_is_told_with_the_next_step(
    one: Object, replica_sets: tuple[Object, ...], called: str, why: str
) -> None:
    found = only(one, replica_sets=replica_sets)
    assert (str(found), found.restartable) == (called, False)
    assert why in found.not_restartable


def test_an_argo_rollout_is_found_above_its_replica_sets() -> None:
    above = replica_set("cart-1")
    above["metadata"]["ownerReferences"] = [{"kind": "Rollout", "name": "cart", "controller": True}]
    found = only(pod("cart-1-a", "ReplicaSet cart-1"), replica_sets=(above,))
    assert (str(found), found.not_restartable) == (
        "Rollout shop/cart",
        "Argo manages it: kubectl argo rollouts restart",
    )


def test_pods_that_name_their_own_image_are_not_helped_by_a_restart() -> None:
    annotations = {"sidecar.istio.io/proxyImage": OLD}
    found = only(pod("db-0", "StatefulSet db", annotations=annotations), owners=(owner("StatefulSet", "db"),))
    assert not found.restartable
    assert "sidecar.istio.io/proxyImage" in found.not_restartable


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{kind: Deployment, metadata: {name: x}, spec: {}}", ""),
        ("{kind: Deployment, metadata: {name: x}, spec: {paused: true}}", "paused"),
        ("{kind: DaemonSet, metadata: {name: x}, spec: {updateStrategy: {type: OnDelete}}}", "OnDelete"),
        (
            "{kind: StatefulSet, metadata: {name: x}, spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}",
            "partition",
        ),
        ("{kind: StatefulSet, metadata: {name: x}, spec: {updateStrategy: {rollingUpdate: {partition: 0}}}}", ""),
        ("{kind: Deployment, metadata: {name: x, labels: {gateway.istio.io/managed: y}}, spec: {}}", "istiod"),
    ],
)
def test_why_an_owner_cannot_be_restarted(text: str, why: str) -> None:
    found = why_not_restartable(read(text))
    assert why in found
    assert bool(found) is bool(why)


@pytest.mark.parametrize(
    ("changed", "injected"),
    [
        ({}, True),
        ({"status": {"phase": "Succeeded"}}, False),
        ({"status": {"phase": "Failed"}}, False),
        ({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
        ({"spec": {"containers": [{"name": "app", "image": "app:1"}]}}, False),
        ({"spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}}, True),
        ({"spec": {"containers": [], "initContainers": [{"name": "istio-proxy", "image": NEW}]}}, True),
        ({"spec": {"containers": [{"name": "istio-proxy", "image": f"{HUB}/ztunnel:1.24.6"}]}}, False),
    ],
)
def test_which_pods_count(changed: Object, injected: bool) -> None:
    assert is_injected({**pod("x"), **changed}) is injected


@pytest.mark.parametrize(
    ("metadata", "revision"),
    [
        ({"annotations": {"istio.io/rev": "1-20-0"}, "labels": {"istio.io/rev": "prod"}}, "1-20-0"),
        ({"annotations": {"sidecar.istio.io/status": '{"revision": "canary"}'}}, "canary"),
        ({"annotations": {"sidecar.istio.io/status": "no JSON"}, "labels": {"istio.io/rev": "prod"}}, "prod"),
        ({}, ""),
    ],
)
def test_the_injector_says_its_revision_before_the_label_does(metadata: Object, revision: str) -> None:
    assert istio_revision_of({"metadata": metadata}) == revision


def test_variants_of_the_proxy_are_the_same_proxy() -> None:
    pods = [
        pod("a", "StatefulSet a", NEW),
        pod("b", "StatefulSet b", f"{NEW}-distroless"),
        pod("c", "StatefulSet c", f"{NEW}-rc.1"),
        pod("d-0", "StatefulSet d", NEW),
        pod("d-1", "StatefulSet d"),
        pod("e", "StatefulSet e", "auto"),
    ]
    assert [workload.name for workload in on_other_proxy(workloads_of(pods, (), ()), NEW)] == ["c", "d", "e"]


def test_the_workloads_of_a_meshs_own_releases_can_be_left_out() -> None:
    marks = {"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "shop"}
    gateway = owner("Deployment", "edge-of-town")
    gateway["metadata"]["annotations"] = marks
    found = workloads_of(
        [pod("edge-1-a", "ReplicaSet edge-1"), pod("tool")],
        [replica_set("edge-1", "edge-of-town")],
        [gateway],
    )
    assert len(found) == 2
    kept = without_releases(found, [Release(component="gateway", name="edge", namespace="shop")])
    assert [str(workload) for workload in kept] == ["Pod shop/tool"]
    assert without_releases(found, [Release(component="gateway", name="edge", namespace="elsewhere")]) == found
