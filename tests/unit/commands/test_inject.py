"""Changing the injection of namespaces, and seeing who is injected."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.inject import InjectionOrder, InjectResult, inject, plan_inject, status
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.restarts import Outcome
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.canaries import canary, deployment, namespace, pod, record
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.injectors import injector
from tests.unit.fakes.runtime import runtime_of

ENABLED = {"istio-injection": "enabled"}


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    cluster.records.kept = {"istio-system": record()}
    cluster.storage.put(*(installed(release) for release in (BASE, ISTIOD, INGRESS)))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "istio-system"}}
    for item in (injector(), service, namespace("shop"), namespace("pay", istio_injection="enabled")):
        cluster.objects.put(item)
    return cluster


def bare(name: str, where: str, **metadata: Any) -> list[Any]:
    """Make a Deployment with a pod that has no proxy."""
    owner, owned = deployment(name, where, "default")
    containers = [{"name": "app", "image": "app:1"}]
    return [
        owner,
        {**owned, "metadata": {**owned["metadata"], "annotations": {}, **metadata}, "spec": {"containers": containers}},
    ]


def put(cluster: FakeCluster, *items: Any) -> None:
    for item in items:
        cluster.objects.put(item)


def order(*namespaces: str, on: bool = True, choice: str = "", restart: bool = False) -> InjectionOrder:
    return InjectionOrder(namespaces=namespaces, on=on, choice=choice, restart=restart)


async def follow(mesh: FakeCluster, heard: Heard, wanted: InjectionOrder) -> InjectResult:
    plan = await plan_inject(wanted, mesh, FakeHelm(), "")
    return await inject(plan, wanted, runtime_of(mesh, listener=heard))


def labels(mesh: FakeCluster, name: str) -> dict[str, str]:
    found: dict[str, str] = mesh.objects.stored[ObjectRef("v1", "Namespace", name)]["metadata"]["labels"]
    return found


async def test_a_namespace_is_labelled_and_the_run_is_in_the_history(mesh: FakeCluster, heard: Heard) -> None:
    put(mesh, *bare("cart", "shop"))
    result = await follow(mesh, heard, order("shop", "pay"))
    assert (result.moved, labels(mesh, "shop"), labels(mesh, "pay")) == (("shop",), ENABLED, ENABLED)
    assert [str(workload) for workload in result.plan.waiting] == ["Deployment shop/cart"]
    assert result.restarts.restarts == ()
    assert [run.command for run in mesh.histories.kept["istio-system"].runs] == ["inject enable shop pay"]
    assert mesh.objects.stored[ObjectRef("v1", "Namespace", "shop")]["metadata"]["annotations"] == {}


async def test_nothing_to_change_is_an_empty_plan(mesh: FakeCluster) -> None:
    put(mesh, *deployment("cart", "pay", "default"))
    assert (await plan_inject(order("pay", restart=True), mesh, FakeHelm(), "")).empty
    assert not (await plan_inject(order("shop"), mesh, FakeHelm(), "")).empty


async def test_a_restart_takes_what_a_new_proxy_would_come_to(mesh: FakeCluster) -> None:
    put(mesh, *bare("cart", "shop"), *bare("own", "shop", labels={"sidecar.istio.io/inject": "false"}))
    plan = await plan_inject(order("shop", restart=True), mesh, FakeHelm(), "")
    assert [str(workload) for workload in plan.moves[0].workloads] == ["Deployment shop/cart"]
    assert plan.waiting == ()


async def test_the_meshs_own_gateways_are_not_restarted(mesh: FakeCluster) -> None:
    gateway = bare("istio-ingressgateway", "shop")
    gateway[0]["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": INGRESS.name,
        "meta.helm.sh/release-namespace": INGRESS.namespace,
    }
    put(mesh, *gateway)
    plan = await plan_inject(order("shop", restart=True), mesh, FakeHelm(), "")
    assert plan.moves[0].workloads == ()


async def test_without_injection_the_label_goes_and_proxies_wait_for_a_restart(mesh: FakeCluster, heard: Heard) -> None:
    put(mesh, *deployment("cart", "pay", "default"))
    result = await follow(mesh, heard, order("pay", on=False))
    assert (labels(mesh, "pay"), [str(workload) for workload in result.plan.waiting]) == ({}, ["Deployment pay/cart"])


async def test_a_lone_pod_is_said_and_left(mesh: FakeCluster, heard: Heard) -> None:
    put(mesh, pod("cart", "pay", "default"))
    result = await follow(mesh, heard, order("pay", on=False, restart=True))
    assert [restart.outcome for restart in result.restarts.restarts] == [Outcome.NOT_RESTARTABLE]
    assert len(result.warnings) == 1


async def test_a_label_that_leads_to_no_istiod_is_not_written(mesh: FakeCluster) -> None:
    mesh.objects.stored = {ref: item for ref, item in mesh.objects.stored.items() if "Webhook" not in ref.kind}
    with pytest.raises(CheckError, match="no istiod would inject them"):
        await plan_inject(order("shop"), mesh, FakeHelm(), "")


async def test_every_reason_is_named_before_anything_is_written(mesh: FakeCluster) -> None:
    mesh.objects.put(namespace("moved", before=ENABLED, istio_rev="1-22-8"))
    with pytest.raises(ConfigError) as caught:
        await plan_inject(order("moved", "istio-system", choice="prdo"), with_system(mesh), FakeHelm(), "")
    assert caught.value.message == (
        "'prdo' is no Istio revision or tag that a namespace of this mesh may use; "
        "namespace moved was moved to the canary; namespace istio-system cannot be injected: it has the control plane"
    )
    with pytest.raises(ConfigError, match="there is no namespace 'shpo'"):
        await plan_inject(order("shpo"), mesh, FakeHelm(), "")


def with_system(mesh: FakeCluster) -> FakeCluster:
    mesh.objects.put(namespace("istio-system"))
    return mesh


async def test_nothing_changes_while_a_canary_is_promoted(mesh: FakeCluster) -> None:
    mesh.records.kept = {"istio-system": record(canary(promoting=True))}
    with pytest.raises(ConfigError, match="is being promoted"):
        await plan_inject(order("shop"), mesh, FakeHelm(), "")


async def test_more_than_was_shown_is_not_done(mesh: FakeCluster, heard: Heard) -> None:
    wanted = order("shop", restart=True)
    plan = await plan_inject(wanted, mesh, FakeHelm(), "")
    put(mesh, *bare("late", "shop"))
    with pytest.raises(ClusterError, match="Deployment shop/late is restarted; nothing was changed"):
        await inject(plan, wanted, runtime_of(mesh, listener=heard))
    assert mesh.objects.asked("merge") == []


async def test_status_shows_namespaces_with_injection_and_says_what_is_wrong(mesh: FakeCluster) -> None:
    put(mesh, *bare("cart", "pay"), *deployment("till", "pay", "default"), *bare("app", "shop"))
    found = await status((), mesh, asked_for_exit_code=True)
    assert [namespace.name for namespace in found.namespaces] == ["pay"]
    assert [(entry.name, entry.why) for entry in found.namespaces[0].workloads] == [
        ("cart", "1 pod was created before istiod injected namespace pay"),
        ("till", ""),
    ]
    assert (found.exit_code, len(found.warnings)) == (CheckError.exit_code, 1)
    named = await status(("shop",), mesh, asked_for_exit_code=True)
    assert [finding.id for finding in named.findings] == ["inject.namespace-off"]
    assert (named.exit_code, named.warnings) == (0, ())


async def test_status_tells_a_pull_secret_that_is_missing(mesh: FakeCluster) -> None:
    item = pod("cart", "pay", "default")
    item["spec"]["imagePullSecrets"] = [{"name": "ncr"}]
    put(mesh, item)
    found = await status(("pay",), mesh, asked_for_exit_code=False)
    assert [finding.id for finding in found.findings] == ["inject.missing-pull-secret"]
    assert found.exit_code == 0
    mesh.objects.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ncr", "namespace": "pay"}})
    assert (await status(("pay",), mesh, asked_for_exit_code=False)).findings == ()


async def test_status_says_of_two_labels_which_decides(mesh: FakeCluster) -> None:
    mesh.objects.put(namespace("both", istio_injection="enabled", istio_rev="1-22-8"))
    found = await status(("both",), mesh, asked_for_exit_code=False)
    assert [finding.id for finding in found.findings] == ["namespaces.injection-labels"]


async def test_status_needs_to_read_the_webhooks(mesh: FakeCluster) -> None:
    refused = RefusedError("no", hint="", status=403, reason="Forbidden")
    mesh.objects.refuses["MutatingWebhookConfiguration", ""] = refused
    with pytest.raises(ClusterError, match="may not list webhook configurations"):
        await status((), mesh, asked_for_exit_code=False)


async def test_a_namespace_that_is_not_there_is_named(mesh: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="'shpo'"):
        await status(("shpo",), mesh, asked_for_exit_code=False)
