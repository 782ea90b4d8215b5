"""One Istio revision goes: which one may, who is on it, and what stays."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.uninstall.revision import plan_revision, uninstall_revision
from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError, ReleaseError
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.history import Outcome
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import NAMESPACE, SIGNED, of_release, pod, webhook
from tests.unit.fakes.runtime import runtime_of

OLD = Release(component="istiod", name="istiod-1-18-7", namespace=NAMESPACE, istio_revision="1-18-7")
MWC = "MutatingWebhookConfiguration"


def record(*releases: Release, canary: Canary | None = None) -> Record:
    return Record(
        settings=Recorded(version="1.20.0", namespace=NAMESPACE, revisions=DeployedRevisions()),
        hub="h",
        releases=tuple(
            RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1) for release in releases
        ),
        canary=canary,
    )


@pytest.fixture
def cluster(cluster: FakeCluster) -> FakeCluster:
    """A recorded mesh, and beside it an istiod of an Istio revision that somebody made."""
    cluster.storage.put(*(installed(release, manifest=SIGNED) for release in (BASE, ISTIOD, INGRESS)))
    cluster.storage.put(installed(OLD, manifest=SIGNED, values={"revision": "1-18-7"}))
    cluster.records.kept[NAMESPACE] = record(BASE, ISTIOD, INGRESS)
    return cluster


def namespace(name: str, **labels: str) -> dict[str, Any]:
    named = {key.replace("istio_rev", "istio.io/rev").replace("_", "-"): text for key, text in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": named}}


def tag(name: str, revision: str, *, release: Release | None = OLD) -> dict[str, Any]:
    made = webhook(name=f"istio-revision-tag-{name}", revision=revision)
    made["metadata"]["labels"]["istio.io/tag"] = name
    made["webhooks"][0]["clientConfig"]["service"]["name"] = f"istiod-{revision}"
    return of_release(made, release) if release else made


def on(revision: str, name: str = "cart") -> dict[str, Any]:
    made = pod(name, namespace="shop")
    return {**made, "metadata": {**made["metadata"], "annotations": {"istio.io/rev": revision}}}


async def planned(cluster: FakeCluster, revision: str = "1-18-7", *, yes: bool = False) -> UninstallPlan:
    return await plan_revision(cluster, "", revision, yes=yes)


async def removed(cluster: FakeCluster, helm: FakeHelm, plan: UninstallPlan, *, yes: bool = False) -> UninstallResult:
    return await uninstall_revision(plan, runtime_of(cluster, helm=helm, listener=Heard()), yes=yes)


async def test_its_release_goes_and_nothing_else(cluster: FakeCluster, helm: FakeHelm) -> None:
    cluster.objects.put(on("default"))
    cluster.objects.put(namespace("shop", istio_injection="enabled"))
    for name in ("istio-gateway-deployment-1-18-7", "istio-gateway-deployment-default"):
        made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        cluster.objects.put({**made, "metadata": {"name": name, "namespace": NAMESPACE}})
    plan = await planned(cluster)
    assert data_of(plan)["releases"] == ["istiod-1-18-7"]
    result = await removed(cluster, helm, plan)
    assert helm.asked("uninstall") == ["istiod-1-18-7"]
    assert result.removed == ("release istiod-1-18-7",)
    assert result.left == (f"Lease {NAMESPACE}/istio-gateway-deployment-1-18-7",)
    assert cluster.objects.asked("delete") == cluster.objects.asked("merge") == []
    assert cluster.records.asked("delete") == cluster.records.asked("write") == []
    (run,) = cluster.histories.kept[NAMESPACE].runs
    assert (run.command, run.outcome, [move.release.name for move in run.releases]) == (
        "uninstall --revision",
        Outcome.DONE,
        ["istiod-1-18-7"],
    )


async def test_a_record_that_has_it_forgets_it(cluster: FakeCluster, helm: FakeHelm) -> None:
    cluster.records.kept[NAMESPACE] = record(BASE, ISTIOD, INGRESS, OLD)
    await removed(cluster, helm, await planned(cluster))
    assert [recorded.release for recorded in cluster.records.kept[NAMESPACE].releases] == [BASE, ISTIOD, INGRESS]


async def test_a_release_that_stays_stays_in_the_record(cluster: FakeCluster, helm: FakeHelm) -> None:
    cluster.records.kept[NAMESPACE] = record(BASE, ISTIOD, INGRESS, OLD)
    helm.fails_on[OLD.name] = ReleaseError("helm uninstall failed", hint="x")
    plan = await planned(cluster)
    with pytest.raises(ReleaseError) as caught:
        await removed(cluster, helm, plan)
    assert caught.value.__notes__ == ["removed before it failed: nothing"]
    assert cluster.records.asked("write") == []


@pytest.mark.parametrize(
    ("revision", "message", "hint"),
    [
        ("1-99-0", "no istiod of Istio revision '1-99-0'", "The Istio revisions are 1-18-7, default."),
        ("default", "the mesh's own istiod", "nksmesh uninstall"),
        ("1-22-8", "is the canary", "nksmesh canary abort"),
    ],
)
async def test_which_may_not_go_alone(cluster: FakeCluster, revision: str, message: str, hint: str) -> None:
    if revision == "1-22-8":
        new = Release(component="istiod", name="istiod-1-22-8", namespace=NAMESPACE, istio_revision=revision)
        cluster.storage.put(installed(new, manifest="istio"))
        canary = Canary(settings=Recorded(version="1.22.8"), release=new)
        cluster.records.kept[NAMESPACE] = record(BASE, ISTIOD, INGRESS, new, canary=canary)
    with pytest.raises(ConfigError, match=message) as caught:
        await planned(cluster, revision)
    assert hint in caught.value.hint


async def test_the_only_istiod_goes_with_the_mesh_alone(cluster: FakeCluster) -> None:
    cluster.records.kept.clear()
    cluster.storage.kept.pop((NAMESPACE, ISTIOD.name))
    with pytest.raises(ConfigError, match="own istiod"):
        await planned(cluster)


async def test_nobody_recorded_it_and_base_calls_it(cluster: FakeCluster) -> None:
    cluster.records.kept.clear()
    validator = webhook(name="istiod-default-validator")
    validator["kind"] = "ValidatingWebhookConfiguration"
    validator["webhooks"][0]["clientConfig"]["service"]["name"] = "istiod-1-18-7"
    cluster.objects.put(validator)
    with pytest.raises(CheckError, match="every Istio object would be refused"):
        await planned(cluster, yes=True)
    cluster.objects.put(on("1-18-7"))
    with pytest.raises(CheckError, match="Istio object would be refused; Istio revision 1-18-7 is in use") as caught:
        await planned(cluster)
    assert caught.value.detail == "Pod shop/cart-1-x"
    # the other one may go
    assert data_of(await planned(cluster, "default"))["releases"] == ["istiod"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ([namespace("shop", istio_rev="1-18-7")], "namespace shop (istio.io/rev=1-18-7)"),
        ([namespace("shop", istio_rev="prod"), tag("prod", "1-18-7")], "namespace shop (istio.io/rev=prod)"),
        (
            [namespace("shop", istio_injection="enabled"), tag("default", "1-18-7")],
            "namespace shop (istio-injection=enabled)",
        ),
        ([on("1-18-7")], "Pod shop/cart-1-x"),
    ],
    ids=["revision", "tag", "default tag", "workload"],
)
async def test_it_does_not_go_while_anybody_is_on_it(
    cluster: FakeCluster, helm: FakeHelm, there: list[dict[str, Any]], words: str
) -> None:
    for one in there:
        cluster.objects.put(one)
    with pytest.raises(CheckError) as caught:
        await planned(cluster)
    assert caught.value.detail == words
    result = await removed(cluster, helm, await planned(cluster, yes=True), yes=True)
    assert result.removed == ("release istiod-1-18-7",)
    assert any("shop" in one for one in result.left)


async def test_who_came_onto_it_after_the_question_keeps_it(cluster: FakeCluster, helm: FakeHelm) -> None:
    plan = await planned(cluster)
    cluster.objects.put(on("1-18-7"))
    with pytest.raises(CheckError):
        await removed(cluster, helm, plan)
    assert helm.asked("uninstall") == []


async def test_a_tag_of_no_release_goes_with_it_and_others_stay(cluster: FakeCluster, helm: FakeHelm) -> None:
    cluster.objects.put(tag("by-hand", "1-18-7", release=None))
    cluster.objects.put(tag("other", "1-16-0", release=None))
    plan = await planned(cluster)
    result = await removed(cluster, helm, plan)
    assert result.removed == (f"{MWC} istio-revision-tag-by-hand", "release istiod-1-18-7")
    assert cluster.objects.asked("delete") == [f"{MWC} istio-revision-tag-by-hand"]


async def test_another_cluster_behind_helm_loses_nothing(cluster: FakeCluster, helm: FakeHelm) -> None:
    plan = await planned(cluster)
    helm.fails["prove_same_cluster"] = ClusterError("Helm reaches a different cluster", hint="x")
    with pytest.raises(ClusterError, match="a different cluster"):
        await removed(cluster, helm, plan)
    assert helm.asked("uninstall") == []
