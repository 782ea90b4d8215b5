"""Pods on another proxy than the plan's: found for every kind of workload, where no new template makes them anew."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.rollouts import with_stale_pods
from tests.unit.domain.meshes import INGRESS, change, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import PROXY, Object, daemon_set, deployment, on_node, pod, replica_set

OLD = "old/proxyv2:1.19.0"


def stateful_set() -> Object:
    made = daemon_set(INGRESS.name)
    return {**made, "kind": "StatefulSet", "spec": {**made["spec"], "replicas": 1}, "status": {}}


SHOWN: dict[str, tuple[Object, tuple[Object, ...]]] = {
    "Deployment": (deployment(INGRESS.name), (replica_set(INGRESS.name), pod(INGRESS.name, image=OLD))),
    "DaemonSet": (daemon_set(INGRESS.name), (on_node(INGRESS.name, image=OLD),)),
    "StatefulSet": (stateful_set(), (on_node(INGRESS.name, image=OLD),)),
}


def planned(cluster: FakeCluster, before: Sequence[Manifest], after: Sequence[Manifest]) -> ReleaseChange:
    helm = FakeHelm()
    one = change(
        INGRESS,
        manifests=after,
        installed=installed(INGRESS, manifest=helm.text(before)),
        reasons=() if before == after else ("its manifests differ",),
    )
    return with_stale_pods(one, cluster, helm, PROXY)


@pytest.mark.parametrize("kind", SHOWN)
def test_pods_on_another_proxy_are_stale_whatever_they_are_of(cluster: FakeCluster, kind: str) -> None:
    workload, others = SHOWN[kind]
    cluster.live.show(workload, *others)
    (stale,) = planned(cluster, [workload], [workload]).stale_pods
    assert stale.endswith(f"runs {OLD}")


@pytest.mark.parametrize("kind", SHOWN)
def test_a_new_template_makes_its_pods_anew_by_itself(cluster: FakeCluster, kind: str) -> None:
    workload, others = SHOWN[kind]
    cluster.live.show(workload, *others)
    changed = copy.deepcopy(workload)
    changed["spec"]["template"]["metadata"] = {"labels": {"tier": "front"}}
    assert planned(cluster, [workload], [changed]).stale_pods == ()
    other = copy.deepcopy(workload)
    other["spec"]["minReadySeconds"] = 5  # which leaves the pods as they are
    assert planned(cluster, [workload], [other]).stale_pods


def test_a_gateway_that_becomes_another_kind_has_no_pods_to_restart(cluster: FakeCluster) -> None:
    workload, others = SHOWN["Deployment"]
    cluster.live.show(workload, *others)
    assert planned(cluster, [workload], [daemon_set(INGRESS.name)]).stale_pods == ()
