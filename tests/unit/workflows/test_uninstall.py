from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nksmesh.domain.errors import ClusterError, HeldError, ReleaseError
from nksmesh.domain.events import EventKind
from nksmesh.domain.holding import Holder
from nksmesh.domain.installed import InstalledRelease
from nksmesh.domain.objects import Manifest
from nksmesh.domain.releases import Release
from nksmesh.workflows.uninstall import UninstallPlan, UninstallResult, plan_uninstall, uninstall
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, installed
from tests.unit.workflows.fakes import FakeCluster, FakeHelm, FakeProcesses, Heard
from tests.unit.workflows.scenery import NAMESPACE, crd, service

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ca-secret", "namespace": NAMESPACE}}


def config_map(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def helm_has(release: Release) -> InstalledRelease:
    return installed(release, manifest="istio sidecar.istio.io/inject")


@pytest.fixture
def cluster(cluster: FakeCluster) -> FakeCluster:
    """A cluster with base, istiod and two gateways."""
    cluster.storage.put(*(helm_has(one) for one in (BASE, ISTIOD, INGRESS, EDGE)))
    cluster.objects.served = [("v1", "ConfigMap"), ("v1", "Service"), ("v1", "Event"), ("apps/v1", "Deployment")]
    for one in (namespace(NAMESPACE), namespace("edge"), crd("gateways.istio.io"), SECRET):
        cluster.objects.put(one)
    return cluster


class Uninstalling:
    def __init__(self, cluster: FakeCluster, helm: FakeHelm, heard: Heard) -> None:
        self.cluster, self.helm, self.heard, self.processes = cluster, helm, heard, FakeProcesses()

    async def __call__(self, plan: UninstallPlan, *, timeout: float = 60) -> UninstallResult:
        return await uninstall(plan, self.cluster, self.helm, self.processes, timeout=timeout, listener=self.heard)


@pytest.fixture
def run(cluster: FakeCluster, helm: FakeHelm, heard: Heard) -> Uninstalling:
    return Uninstalling(cluster, helm, heard)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_plan_says_what_goes_and_what_stays(cluster: FakeCluster) -> None:
    cluster.objects.put(service(INGRESS.name, address="10.1.1.1"))
    cluster.objects.put(service("somebody-elses", address="10.1.1.2"))
    cluster.objects.put(service(EDGE.name, namespace="edge"))
    cluster.objects.put(config_map("istio-leader"))
    cluster.objects.put(config_map("istio-ca-root-cert", "default"))
    cluster.objects.put(config_map("istio-of-a-user"))
    cluster.objects.put(crd("somebodys.example.com"))
    cluster.objects.put({"apiVersion": "istio.io/v1", "kind": "Gateways", "metadata": {"name": "g", "namespace": "a"}})
    plan = await plan_uninstall(cluster, "", purge=False)
    assert plan.addresses == {f"{NAMESPACE}/{INGRESS.name}": ("10.1.1.1",)}
    assert [(str(one.ref), one.holds) for one in plan.leftovers] == [
        ("CustomResourceDefinition gateways.istio.io", "1 gateways"),
        (f"Secret {NAMESPACE}/istio-ca-secret", "the mesh's root CA: a later mesh would trust another one"),
        (f"ConfigMap {NAMESPACE}/istio-leader", ""),
        ("ConfigMap default/istio-ca-root-cert", ""),
    ]
    assert plan.namespaces == {}
    assert not plan.empty
    assert plan.to_data()["releases"] == [INGRESS.name, EDGE.name, "istiod", "istio-base"]


async def test_nothing_installed_is_nothing_to_remove() -> None:
    assert (await plan_uninstall(FakeCluster(), "", purge=False)).empty


async def test_gateways_go_first_then_istiod_then_base(run: Uninstalling) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=False)
    result = await run(plan)
    assert run.helm.asked("uninstall") == [EDGE.name, INGRESS.name, "istiod", "istio-base"]
    assert now() == 3  # the gateways at the same time
    assert result.removed == tuple(f"release {one}" for one in run.helm.finished)
    assert result.left == (
        "CustomResourceDefinition gateways.istio.io",
        f"Secret {NAMESPACE}/istio-ca-secret (the mesh's root CA: a later mesh would trust another one)",
        f"namespace {NAMESPACE}",
        "namespace edge",
    )
    assert run.helm.asked("prove_same_cluster") == ["uid-1"]
    assert run.cluster.records.asked("delete") == [NAMESPACE]
    assert result.to_data()["removed"] == list(result.removed)


async def test_a_release_that_cannot_be_removed_ends_the_run_when_the_others_have_ended(run: Uninstalling) -> None:
    run.helm.fails_on[EDGE.name] = ReleaseError("helm uninstall edge failed", hint="x")
    run.helm.seconds[INGRESS.name] = 5.0
    plan = await plan_uninstall(run.cluster, "", purge=False)
    with pytest.raises(ReleaseError) as caught:
        await run(plan)
    assert run.helm.running == 0  # no Helm is at work when the mesh is given back
    assert caught.value.__notes__ == [f"removed before that: release {INGRESS.name}"]
    assert run.cluster.records.asked("delete") == []
    assert "istiod" not in run.helm.finished


async def test_another_run_keeps_an_uninstall_out(run: Uninstalling) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=False)
    run.cluster.lease.fails["held"] = HeldError("another run", hint="wait")
    with pytest.raises(HeldError):
        await run(plan)
    assert run.helm.calls == []


DEAD = Holder(host="desk", process=1, started=1, user="kim", command="install", helm=(77,))


async def test_a_helm_that_a_dead_run_left_at_work_is_let_finish(run: Uninstalling) -> None:
    run.cluster.lease.dead, run.processes.helms = DEAD, (77,)
    plan = await plan_uninstall(run.cluster, "", purge=False)
    await run(plan)
    assert run.processes.asked("wait_for_helm") == ["(77,)"]
    assert any("to end" in one for one in run.heard.said(EventKind.WAITING))


@pytest.mark.parametrize("dead", [None, DEAD])
async def test_a_release_that_came_after_the_question_was_not_agreed_to(run: Uninstalling, dead: Holder | None) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=False)
    run.cluster.lease.dead, run.processes.helms = dead, (77,)
    late = Release(component="gateway", name="late", namespace=NAMESPACE)
    run.cluster.storage.put(helm_has(late))
    with pytest.raises(ClusterError, match="more to remove now than was shown: release late; nothing was removed"):
        await run(plan)
    assert run.helm.calls == []


async def test_another_cluster_behind_helm_loses_nothing(run: Uninstalling) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=True)
    run.helm.fails["prove_same_cluster"] = ClusterError("Helm reaches another cluster", hint="x")
    with pytest.raises(ClusterError, match="another cluster"):
        await run(plan)
    assert run.helm.asked("uninstall") == []
    assert run.cluster.objects.asked("delete") == []


async def test_a_crd_that_helm_would_take_is_kept_before_base_goes(run: Uninstalling) -> None:
    losing, kept = crd("workloadgroups.networking.istio.io"), crd("gateways.networking.istio.io")
    kept["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    others = [service("istiod")]
    run.cluster.storage.put(installed(BASE, manifest=FakeHelm.text([losing, kept, *others])))

    def shown(manifest: Manifest) -> str:
        return f"{manifest['metadata']['name']} {manifest['metadata'].get('annotations')}\n"

    run.helm.dump = shown  # type: ignore[method-assign]
    plan = await plan_uninstall(run.cluster, "", purge=False)
    await run(plan)
    assert run.cluster.storage.asked("replace_manifest") == ["istio-base"]
    assert run.cluster.storage.kept[BASE.namespace, BASE.name].manifest == (
        "---\nworkloadgroups.networking.istio.io {'helm.sh/resource-policy': 'keep'}\n"
        "---\ngateways.networking.istio.io {'helm.sh/resource-policy': 'keep'}\n"
        "---\nistiod None\n"
    )


async def test_nothing_to_do_still_says_what_is_there_and_a_no_says_nothing(cluster: FakeCluster) -> None:
    cluster.storage.kept.clear()
    plan = await plan_uninstall(cluster, "", purge=True)
    assert plan.empty
    nothing = UninstallResult.of_nothing(plan)
    assert any("istio-ca-secret" in one and "not known to be this mesh's" in one for one in nothing.left)
    refused = UninstallResult.of_nothing(plan, agreed=False)
    assert (refused.left, refused.removed, refused.to_data()["agreed"]) == ((), (), False)
