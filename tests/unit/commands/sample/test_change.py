"""A sample deployed, awaited, and deleted: exactly what was applied."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.sample.change import SampleOrder, SamplePlan, follow, plan_delete, plan_deploy
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError, ImageError, NotReadyError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.readiness import State
from nksmesh.domain.samples.object_set import SAMPLE_LABEL
from nksmesh.domain.samples.sample import BOOKINFO
from nksmesh.engine.samples import pods_ready
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import INGRESS, installed
from tests.unit.fakes.canaries import kept, namespace, record
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.injectors import injector
from tests.unit.fakes.meshes import deployment, pod, replica_set, service
from tests.unit.fakes.registries import istio
from tests.unit.fakes.runtime import runtime_of

Object = dict[str, Any]

GATEWAY: Object = {
    "apiVersion": "networking.istio.io/v1beta1",
    "kind": "Gateway",
    "metadata": {"name": "bookinfo-gateway"},
    "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": 8080}}]},
}
DETAILS: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "details-v1"},
    "spec": {"template": {"spec": {"containers": [{"name": "details", "image": "docker.io/istio/details:1"}]}}},
}
ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bookinfo-details"}}
ORDER = SampleOrder(
    sample=BOOKINFO, namespace="shop", manifests=(ACCOUNT, DETAILS, GATEWAY), image_hub="registry.example.com/istio"
)
DELETION = SampleOrder(sample=BOOKINFO, namespace="shop")
REF = ObjectRef("apps/v1", "Deployment", "details-v1", "shop")


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    called = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "istio-system"}}
    for item in (injector(), called, namespace("shop", istio_injection="enabled"), namespace("bare")):
        cluster.objects.put(item)
    show_pods(cluster)
    return cluster


def show_pods(cluster: FakeCluster, **changed: Any) -> None:
    """Let the Deployment's pod be ready, with its proxy, as soon as it is looked at."""
    cluster.live.show(
        deployment("details-v1", namespace="shop"),
        replica_set("details-v1", namespace="shop"),
        pod("details-v1", namespace="shop", **changed),
    )


def applied(cluster: FakeCluster) -> None:
    """Let what nksmesh applied have what the API server notes."""
    for item in cluster.objects.stored.values():
        if SAMPLE_LABEL in (item["metadata"].get("labels") or {}):
            item["metadata"]["managedFields"] = [{"manager": "nksmesh"}]


def actions(plan: SamplePlan) -> dict[str, str]:
    return {step.name: step.action.value for step in plan.steps}


async def test_a_sample_is_applied_awaited_and_kept_the_second_time(mesh: FakeCluster, heard: Heard) -> None:
    runtime = runtime_of(mesh, listener=heard)
    plan = await plan_deploy(ORDER, runtime)
    assert actions(plan) == {
        "ServiceAccount shop/bookinfo-details": "create",
        "Deployment shop/details-v1": "create",
        "Gateway shop/bookinfo-gateway": "create",
        "pods": "prove",
    }
    assert plan.images == ("registry.example.com/istio/details:1",)
    assert mesh.objects.asked("apply") == []
    result = await follow(plan, ORDER, runtime)
    assert [row.message for row in result.progress.outcomes][-1] == "1 pod is ready, each with its proxy"
    assert mesh.objects.stored[REF]["metadata"]["labels"] == {SAMPLE_LABEL: "bookinfo"}
    applied(mesh)
    again = await plan_deploy(ORDER, runtime)
    assert set(actions(again).values()) == {"keep", "prove"}
    assert not again.empty


async def test_its_images_are_looked_for_with_the_logins_of_its_pods_and_of_their_istiod(mesh: FakeCluster) -> None:
    registries = istio(["details"])
    registries.lets_in = {"pods"}
    runtime = runtime_of(mesh, registries=registries)
    with pytest.raises(ImageError, match="the registry refuses") as denied:
        await plan_deploy(ORDER, runtime)
    assert denied.value.hint.endswith("Pass --no-check-images if the nodes can have it all the same.")
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "istiod", "namespace": "istio-system"},
    }
    mesh.objects.put({**account, "imagePullSecrets": [{"name": "key"}]})  # the injector gives it to each pod
    config = json.dumps({"auths": {"registry.example.com": {"username": "pods", "password": "of pods"}}})
    data = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}
    key = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "shop"}, "data": data}
    mesh.objects.put(key)
    assert not [finding for finding in (await plan_deploy(ORDER, runtime)).findings if finding.group == "images"]
    assert mesh.objects.asked("apply") == []


async def test_only_what_was_applied_is_deleted(mesh: FakeCluster, heard: Heard) -> None:
    runtime = runtime_of(mesh, listener=heard)
    await follow(await plan_deploy(ORDER, runtime), ORDER, runtime)
    applied(mesh)
    own = {**ACCOUNT, "metadata": {"name": "own", "namespace": "shop"}}
    mesh.objects.put(own)
    plan = await plan_delete(DELETION, runtime)
    assert set(actions(plan).values()) == {"remove"}
    await follow(plan, DELETION, runtime)
    left = {ref for ref in mesh.objects.stored if ref.namespace == "shop"}
    assert left == {ObjectRef("v1", "ServiceAccount", "own", "shop")}
    assert (await plan_delete(DELETION, runtime)).empty


async def test_an_object_of_somebody_else_stops_both(mesh: FakeCluster) -> None:
    foreign = {**DETAILS, "metadata": {"name": "details-v1", "namespace": "shop"}}
    foreign["metadata"]["managedFields"] = [{"manager": "kubectl-client-side-apply"}]
    mesh.objects.put(foreign)
    with pytest.raises(ClusterError, match="Deployment shop/details-v1 belongs to kubectl apply"):
        await plan_deploy(ORDER, runtime_of(mesh))
    foreign["metadata"]["labels"] = {SAMPLE_LABEL: "bookinfo"}
    mesh.objects.put(foreign)
    with pytest.raises(ClusterError, match="belongs to kubectl apply"):
        await plan_delete(DELETION, runtime_of(mesh))


async def test_a_namespace_must_be_there_and_be_injected(mesh: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="'nowhere'"):
        await plan_deploy(SampleOrder(sample=BOOKINFO, namespace="nowhere"), runtime_of(mesh))
    with pytest.raises(CheckError, match="get no proxy"):
        await plan_deploy(SampleOrder(sample=BOOKINFO, namespace="bare"), runtime_of(mesh))


async def test_the_port_of_the_samples_gateway_is_looked_at_before(mesh: FakeCluster) -> None:
    manifest = FakeHelm.text([deployment(INGRESS.name), service(INGRESS.name)])
    mesh.storage.put(installed(INGRESS, manifest=manifest))
    mesh.records.kept = {"istio-system": replace(record(), releases=(kept(INGRESS),))}
    owned = pod(INGRESS.name)
    owned["metadata"]["labels"] = {"istio": "ingressgateway"}
    mesh.live.show(deployment(INGRESS.name), replica_set(INGRESS.name), owned, service(INGRESS.name))
    plan = await plan_deploy(ORDER, runtime_of(mesh))
    assert [finding.id for finding in plan.findings] == ["gateway.closed-port"]


async def test_more_than_was_shown_is_not_deleted(mesh: FakeCluster, heard: Heard) -> None:
    runtime = runtime_of(mesh, listener=heard)
    plan = await plan_delete(DELETION, runtime)
    await follow(await plan_deploy(ORDER, runtime), ORDER, runtime)
    applied(mesh)
    with pytest.raises(ClusterError, match="sample delete would now do more than was shown"):
        await follow(plan, DELETION, runtime)


async def test_a_pod_without_a_proxy_ends_the_wait(mesh: FakeCluster, heard: Heard) -> None:
    bare = pod("details-v1", namespace="shop")
    bare["spec"]["containers"] = [{"name": "details", "image": "x"}]
    mesh.live.show(bare)
    assert pods_ready(mesh.live, [REF]).state is State.FAILED
    runtime = runtime_of(mesh, listener=heard, waits=WaitOptions(component=1))
    with pytest.raises(NotReadyError, match="has no proxy: run nksmesh inject status"):
        await follow(await plan_deploy(ORDER, runtime), ORDER, runtime)
