from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.canary.start import LABELS_BEFORE
from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult, plan_uninstall, uninstall
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, HeldError, ReleaseError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, FakeProcesses, Heard
from tests.unit.fakes.meshes import NAMESPACE, SIGNED, crd, of_release, pod, service, webhook
from tests.unit.fakes.runtime import runtime_of

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ca-secret", "namespace": NAMESPACE}}


def config_map(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def helm_has(release: Release) -> InstalledRelease:
    return installed(release, manifest=SIGNED)


@pytest.fixture
def cluster(cluster: FakeCluster) -> FakeCluster:
    """A cluster with base, istiod and two gateways."""
    cluster.storage.put(*(helm_has(release) for release in (BASE, ISTIOD, INGRESS, EDGE)))
    cluster.objects.served = [("v1", "ConfigMap"), ("v1", "Service"), ("v1", "Event"), ("apps/v1", "Deployment")]
    for one in (namespace(NAMESPACE), namespace("edge"), crd("gateways.istio.io"), SECRET):
        cluster.objects.put(one)
    return cluster


class Uninstalling:
    def __init__(self, cluster: FakeCluster, helm: FakeHelm, heard: Heard) -> None:
        self.cluster, self.helm, self.heard, self.processes = cluster, helm, heard, FakeProcesses()

    async def __call__(self, plan: UninstallPlan, *, timeout: float = 60) -> UninstallResult:
        waits = WaitOptions(component=timeout)
        return await uninstall(
            plan,
            runtime_of(self.cluster, helm=self.helm, processes=self.processes, waits=waits, listener=self.heard),
        )


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
    assert [(str(leftover.ref), leftover.holds) for leftover in plan.leftovers] == [
        ("CustomResourceDefinition gateways.istio.io", "1 gateways"),
        (f"Secret {NAMESPACE}/istio-ca-secret", "the mesh's root CA: without it a later mesh would trust another one"),
        (f"ConfigMap {NAMESPACE}/istio-leader", ""),
        ("ConfigMap default/istio-ca-root-cert", ""),
    ]
    assert plan.namespaces == {}
    assert not plan.empty
    assert data_of(plan)["releases"] == [INGRESS.name, EDGE.name, "istiod", "istio-base"]


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
        f"Secret {NAMESPACE}/istio-ca-secret (the mesh's root CA: without it a later mesh would trust another one)",
        f"namespace {NAMESPACE}",
        "namespace edge",
    )
    assert run.helm.asked("prove_same_cluster") == ["uid-1"]
    assert run.cluster.records.asked("delete") == [NAMESPACE]
    assert data_of(result)["removed"] == list(result.removed)


async def test_a_release_that_cannot_be_removed_ends_the_run_when_the_others_have_ended(run: Uninstalling) -> None:
    run.helm.fails_on[EDGE.name] = ReleaseError("helm uninstall edge failed", hint="x")
    run.helm.seconds[INGRESS.name] = 5.0
    plan = await plan_uninstall(run.cluster, "", purge=False)
    with pytest.raises(ReleaseError) as caught:
        await run(plan)
    assert run.helm.running == 0  # no Helm is at work when the mesh is given back
    assert caught.value.__notes__ == [f"removed before it failed: release {INGRESS.name}"]
    assert run.cluster.records.asked("delete") == []
    assert "istiod" not in run.helm.finished


async def test_what_is_about_to_go_is_noted_so_that_what_helm_leaves_of_it_is_known_for_our_own(
    run: Uninstalling,
) -> None:
    some = tuple(
        RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1)
        for release in (BASE, ISTIOD)
    )
    settings = Recorded(namespace=NAMESPACE)
    run.cluster.records.kept[NAMESPACE] = Record(settings=settings, hub="h", releases=some)
    run.helm.fails_on["istiod"] = ReleaseError("helm uninstall istiod failed", hint="x")
    with pytest.raises(ReleaseError):
        await run(await plan_uninstall(run.cluster, "", purge=False))
    assert [release.helm_revision for release in run.cluster.records.kept[NAMESPACE].releases] == [0, 0]


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
    with pytest.raises(ClusterError, match="would now remove more than was shown: release late; nothing was removed"):
        await run(plan)
    assert run.helm.calls == []


async def test_another_cluster_behind_helm_loses_nothing(run: Uninstalling) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=True)
    run.helm.fails["prove_same_cluster"] = ClusterError("Helm reaches a different cluster", hint="x")
    with pytest.raises(ClusterError, match="a different cluster"):
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
    manifests: list[str] = []
    run.helm.then[BASE.name] = lambda: manifests.append(run.cluster.storage.kept[BASE.namespace, BASE.name].manifest)
    plan = await plan_uninstall(run.cluster, "", purge=False)
    await run(plan)
    assert run.cluster.storage.asked("replace_manifest") == ["istio-base"]
    (manifest,) = manifests
    assert manifest == (
        "---\nworkloadgroups.networking.istio.io {'helm.sh/resource-policy': 'keep'}\n"
        "---\ngateways.networking.istio.io {'helm.sh/resource-policy': 'keep'}\n"
        "---\nistiod None\n"
    )


async def test_nothing_to_do_still_says_what_is_there_and_a_no_says_nothing(cluster: FakeCluster) -> None:
    cluster.storage.kept.clear()
    plan = await plan_uninstall(cluster, "", purge=True)
    assert plan.empty
    nothing = UninstallResult.of_nothing(plan)
    assert any("istio-ca-secret" in one and "may belong to another mesh" in one for one in nothing.left)
    refused = UninstallResult.of_nothing(plan, agreed=False)
    assert (refused.left, refused.removed, data_of(refused)["agreed"]) == ((), (), False)


def labelled(name: str, **labels: str) -> dict[str, Any]:
    named = {key.replace("istio_rev", "istio.io/rev").replace("_", "-"): text for key, text in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": named}}


def lease(name: str, where: str = NAMESPACE) -> dict[str, Any]:
    metadata = {"name": name, "namespace": where}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


def sidecar(name: str, where: str, **metadata: Any) -> dict[str, Any]:
    made = pod(name, name=name, namespace=where)
    return {**made, "metadata": {**made["metadata"], "ownerReferences": [], **metadata}}


async def test_what_is_left_is_counted(cluster: FakeCluster) -> None:
    for one in ("istio-gateway-deployment-default", "istio-ip-autoallocate", "istio-ip-of-a-user", "kube-scheduler"):
        cluster.objects.put(lease(one))
    cluster.objects.put(lease("istio-ip-autoallocate", "elsewhere"))
    cluster.objects.put(labelled("pay", istio_injection="enabled", team="pay"))
    cluster.objects.put(labelled("shop", istio_rev="prod"))
    cluster.objects.put(labelled("bank", team="bank"))
    owner = {"meta.helm.sh/release-name": INGRESS.name, "meta.helm.sh/release-namespace": NAMESPACE}
    cluster.objects.put(sidecar("gateway", NAMESPACE, annotations=owner))
    cluster.objects.put(sidecar("cart", "shop"))
    for name, controller in (
        ("istio", "istio.io/gateway-controller"),
        ("nginx", "nginx.org/x"),
        ("mine", "istio.io/x"),
    ):
        made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": name}}
        cluster.objects.put({**made, "spec": {"controllerName": controller}})
    plan = await plan_uninstall(cluster, "", purge=False)
    assert [str(leftover) for leftover in plan.leftovers if leftover.ref.kind in {"Lease", "GatewayClass"}] == [
        f"Lease {NAMESPACE}/istio-gateway-deployment-default",
        f"Lease {NAMESPACE}/istio-ip-autoallocate",
        "GatewayClass istio",
    ]
    assert [(one.namespace, one.words) for one in plan.labelled] == [
        ("pay", "istio-injection=enabled"),
        ("shop", "istio.io/rev=prod"),
    ]
    assert [str(workload) for workload in plan.workloads] == ["Pod shop/cart"]
    counts = {"leases": 2, "labelled_namespaces": 2, "workloads": 1, "pods": 1, "crds": 1, "istio_objects": 0}
    assert {key: plan.counts[key] for key in counts} == counts


async def test_sidecars_and_labels_are_left_and_said_to_be(run: Uninstalling) -> None:
    run.cluster.objects.put(labelled("shop", istio_injection="enabled"))
    run.cluster.objects.put(sidecar("cart", "shop"))
    result = await run(await plan_uninstall(run.cluster, "", purge=False))
    assert "label istio-injection=enabled of namespace shop" in result.left
    assert "1 workload (1 pod) runs a sidecar: Pod shop/cart" in result.left
    assert result.next_steps[0].startswith("Pod shop/cart: nothing would recreate it")
    assert run.cluster.objects.asked("merge") == run.cluster.objects.asked("delete") == []


async def test_a_run_is_kept_in_the_history(run: Uninstalling) -> None:
    await run(await plan_uninstall(run.cluster, "", purge=False))
    (kept,) = run.cluster.histories.kept[NAMESPACE].runs
    assert (kept.command, kept.outcome, kept.from_versions, kept.to_version) == (
        "uninstall",
        Outcome.DONE,
        ("1.20.0",),
        "",
    )
    assert {(move.release.name, move.before) for move in kept.releases} == {
        (release.name, 1) for release in (BASE, ISTIOD, INGRESS, EDGE)
    }
    run.cluster.storage.put(*(helm_has(release) for release in (BASE, ISTIOD, INGRESS, EDGE)))
    again = await plan_uninstall(run.cluster, "", purge=False)
    assert "the history of the mesh's runs" in UninstallResult.of_nothing(again).left
    run.helm.fails_on["istiod"] = ReleaseError("helm uninstall istiod failed", hint="x")
    with pytest.raises(ReleaseError):
        await run(again)
    failed = run.cluster.histories.kept[NAMESPACE].runs[-1]
    assert (failed.outcome, "removed before it failed" in failed.evidence) == (Outcome.FAILED, True)


async def test_what_was_not_agreed_to_is_no_run(run: Uninstalling) -> None:
    plan = await plan_uninstall(run.cluster, "", purge=False)
    run.cluster.storage.put(helm_has(Release(component="gateway", name="late", namespace=NAMESPACE)))
    with pytest.raises(ClusterError):
        await run(plan)
    assert run.cluster.histories.kept == {}


async def test_a_run_that_was_killed_before_anything_was_there_is_looked_after(run: Uninstalling) -> None:
    begun = Run(command="install", namespace=NAMESPACE, number=1)
    run.cluster.histories.kept[NAMESPACE] = History(namespace=NAMESPACE, runs=(begun,))
    run.cluster.lease.dead, run.processes.helms = DEAD, (77,)
    late = dict(run.cluster.storage.kept)
    run.cluster.storage.kept.clear()
    plan = await plan_uninstall(run.cluster, "", purge=False)
    assert (plan.empty, plan.unfinished) == (False, "run 1 (install)")
    wait = run.processes.wait_for_helm

    async def and_it_writes(processes: tuple[int, ...]) -> None:
        await wait(processes)
        run.cluster.storage.kept.update(late)

    run.processes.wait_for_helm = and_it_writes  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match="would now remove more than was shown: release istio-base"):
        await run(plan)
    run.cluster.storage.kept.clear()
    late.clear()
    assert (await run(plan)).removed == ()  # its Helm wrote nothing
    assert [one.outcome for one in run.cluster.histories.kept[NAMESPACE].runs] == [Outcome.INTERRUPTED, Outcome.DONE]


def tag(name: str, release: Release | None = None, **webhook_of: Any) -> dict[str, Any]:
    made = webhook(name=f"istio-revision-tag-{name}", **webhook_of)
    labels = {**made["metadata"]["labels"], "istio.io/tag": name}
    made = {**made, "metadata": {**made["metadata"], "labels": labels}}
    return of_release(made, release) if release else made


async def test_webhooks_of_no_release_go_before_the_istiod_that_they_call(run: Uninstalling) -> None:
    run.cluster.objects.put(tag("prod"))
    run.cluster.objects.put(tag("ours", ISTIOD))
    run.cluster.objects.put(tag("theirs", namespace="mesh-b"))
    order: list[str] = []
    delete = run.cluster.objects.delete

    async def noted(ref: ObjectRef, *, orphan: bool = False) -> bool:
        order.append(str(ref))
        return await delete(ref, orphan=orphan)

    run.cluster.objects.delete = noted  # type: ignore[method-assign]
    run.helm.then = {name: lambda name=name: order.append(name) for name in ("istiod", INGRESS.name)}  # type: ignore[misc]
    plan = await plan_uninstall(run.cluster, "", purge=False)
    await run(plan)
    assert order == [INGRESS.name, "MutatingWebhookConfiguration istio-revision-tag-prod", "istiod"]


async def test_a_webhook_that_calls_our_istiod_is_no_sign_of_another(run: Uninstalling) -> None:
    run.cluster.objects.put(tag("prod"))
    plan = await plan_uninstall(run.cluster, "", purge=True)
    assert {leftover.stays for leftover in plan.leftovers} == {""}
    shown = replace(plan, webhooks=())
    with pytest.raises(ClusterError, match=r"would now remove more than was shown: Mutating.*prod"):
        await run(shown)


NEW = Release(component="istiod", name="istiod-1-22-8", namespace=NAMESPACE, istio_revision="1-22-8")


def recorded(*releases: Release, canary: Canary | None = None, revision: str = "") -> Record:
    return Record(
        settings=Recorded(version="1.20.0", namespace=NAMESPACE, revisions=DeployedRevisions(istio_revision=revision)),
        hub="h",
        releases=tuple(
            RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1) for release in releases
        ),
        canary=canary,
    )


async def test_a_mesh_with_a_canary_goes_whole_and_moved_namespaces_have_their_labels_again(run: Uninstalling) -> None:
    canary = Canary(settings=Recorded(version="1.22.8"), release=NEW)
    run.cluster.records.kept[NAMESPACE] = recorded(BASE, ISTIOD, INGRESS, NEW, canary=canary)
    run.cluster.storage.put(helm_has(NEW))
    moved = labelled("shop", istio_rev="1-22-8")
    moved["metadata"]["annotations"] = {LABELS_BEFORE: '{"istio-injection": "enabled"}'}
    run.cluster.objects.put(moved)
    plan = await plan_uninstall(run.cluster, "", purge=False)
    assert [one.words for one in plan.labelled] == ["istio-injection=enabled"]
    await run(plan)
    assert run.helm.asked("uninstall")[0] == INGRESS.name
    assert set(run.helm.asked("uninstall")[1:3]) == {"istiod", NEW.name}
    assert run.helm.asked("uninstall")[3] == BASE.name
    left = run.cluster.objects.stored[ObjectRef("v1", "Namespace", "shop")]["metadata"]
    assert (left["labels"], left["annotations"]) == ({"istio-injection": "enabled"}, {})
    assert run.cluster.records.kept == {}


async def test_releases_with_names_of_their_own_go_as_the_record_has_them(run: Uninstalling) -> None:
    run.cluster.storage.kept.clear()
    base, istiod = replace(BASE, name="base-of-ours"), replace(ISTIOD, name="pilot", istio_revision="1-22-8")
    run.cluster.storage.put(helm_has(base), helm_has(istiod), helm_has(INGRESS))
    run.cluster.records.kept[NAMESPACE] = recorded(base, istiod, INGRESS, revision="1-22-8")
    await run(await plan_uninstall(run.cluster, "", purge=False))
    assert run.helm.asked("uninstall") == [INGRESS.name, "pilot", "base-of-ours"]
