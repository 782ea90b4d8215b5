from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult, plan_uninstall, uninstall
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError, NotReadyError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import NAMESPACE, SIGNED, crd, deployment, of_release, pod, replica_set, webhook
from tests.unit.fakes.runtime import runtime_of

KINDS = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "Pod"),
    ("v1", "Event"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
]
GATEWAYS = "CustomResourceDefinition gateways.networking.istio.io"


def made(kind: str, name: str, namespace: str = NAMESPACE, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata}}


def by_us(manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": [{"manager": "nksmesh"}]}}


def by_helm(manifest: dict[str, Any], name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    owner = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": owner}}


def refused(status: int) -> RefusedError:
    return RefusedError("the API server refused", hint="x", status=status, reason="", detail=f"words {status}")


def helm_has(release: Release) -> Any:
    return installed(release, manifest=SIGNED)


@pytest.fixture
def cluster(cluster: FakeCluster) -> FakeCluster:
    """What a mesh leaves, and its namespaces; whose it is, is each test's to say."""
    cluster.objects.served = list(KINDS)
    cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}})
    cluster.objects.put(crd("gateways.networking.istio.io"))
    cluster.objects.put(made("Secret", "istio-ca-secret"))
    cluster.objects.put(made("ConfigMap", "istio-ca-root-cert", "shop"))
    return cluster


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    """A whole mesh, with a gateway in a namespace of its own."""
    cluster.storage.put(*(helm_has(release) for release in (BASE, ISTIOD, INGRESS, EDGE)))
    cluster.objects.put(of_release(deployment("istiod"), ISTIOD))
    return cluster


SHORT = WaitOptions(component=60)


async def planned(cluster: FakeCluster) -> UninstallPlan:
    return await plan_uninstall(cluster, "", purge=True)


async def purged(cluster: FakeCluster, plan: UninstallPlan) -> UninstallResult:
    return await uninstall(plan, runtime_of(cluster, helm=helm_of(cluster), waits=SHORT, listener=Heard()))


def helm_of(cluster: FakeCluster) -> FakeHelm:
    """A Helm that takes what it uninstalls out of a cluster."""
    helm = FakeHelm()
    helm.cluster = cluster
    return helm


def kept(plan: UninstallPlan, namespace: str = NAMESPACE) -> list[str]:
    return [word.replace(f"{namespace}/", "") for word in plan.namespaces[namespace].words]


async def test_what_is_left_goes_and_the_namespaces_that_hold_nothing_else(mesh: FakeCluster) -> None:
    mesh.objects.put(made("ConfigMap", "app-settings"))
    result = await purged(mesh, await planned(mesh))
    assert mesh.objects.asked("delete") == [
        GATEWAYS,
        f"Secret {NAMESPACE}/istio-ca-secret",
        "ConfigMap shop/istio-ca-root-cert",
        "Namespace edge",
    ]
    assert result.removed[-1] == "namespace edge"
    assert result.left == (f"namespace {NAMESPACE}: ConfigMap {NAMESPACE}/app-settings",)


@pytest.mark.parametrize("release", [None, INGRESS])
async def test_without_a_control_plane_of_ours_nothing_is_touched(
    cluster: FakeCluster, release: Release | None
) -> None:
    cluster.objects.put(deployment("istiod"))
    if release is not None:
        cluster.storage.put(helm_has(release))
    plan = await planned(cluster)
    assert plan.going == ()
    assert all("may belong to another mesh" in leftover.stays for leftover in plan.leftovers)
    assert len(plan.leftovers) == 3
    assert plan.empty is (release is None)


async def test_what_an_earlier_mesh_of_ours_left_goes(cluster: FakeCluster) -> None:
    cluster.objects.put(by_us(crd("gateways.networking.istio.io")))
    cluster.objects.put(by_helm(crd("sidecars.networking.istio.io"), "another"))
    cluster.objects.put(crd("somebodys.networking.istio.io"))
    plan = await planned(cluster)
    assert {str(leftover.ref) for leftover in plan.going} == {
        GATEWAYS,
        f"Secret {NAMESPACE}/istio-ca-secret",
        "ConfigMap shop/istio-ca-root-cert",
    }
    assert "Helm release another" in "".join(leftover.stays for leftover in plan.staying)
    assert not plan.empty


ELSEWHERE = {
    "a Deployment": deployment("istiod", namespace="mesh-b"),
    "a Deployment beside ours": deployment("istiod-canary"),
    "a webhook": webhook(namespace="mesh-b", name="istio-sidecar-injector-mesh-b"),
}


@pytest.mark.parametrize("sign", ELSEWHERE)
async def test_another_control_plane_keeps_what_it_needs(mesh: FakeCluster, sign: str) -> None:
    other = ELSEWHERE[sign]
    labels = {"app": "istiod", "istio.io/rev": "b"}
    mesh.objects.put({**other, "metadata": {**other["metadata"], "labels": labels}})
    plan = await planned(mesh)
    assert plan.going == ()
    assert all(other["metadata"]["name"] in leftover.stays for leftover in plan.leftovers)
    await purged(mesh, plan)
    assert not {GATEWAYS, f"Secret {NAMESPACE}/istio-ca-secret"} & {*mesh.objects.asked("delete")}


async def test_another_control_plane_may_be_a_helm_release_alone(mesh: FakeCluster) -> None:
    other = Release(component="istiod", name="istiod", namespace="mesh-b")
    mesh.storage.put(helm_has(other))
    plan = await plan_uninstall(mesh, NAMESPACE, purge=True)
    assert {leftover.stays for leftover in plan.leftovers} == {"Helm release mesh-b/istiod may need it"}


async def test_our_own_istiod_is_no_other(mesh: FakeCluster) -> None:
    mesh.objects.put(of_release({**webhook()}, ISTIOD))
    ours = of_release(deployment("istiod"), ISTIOD)
    mesh.objects.put({**ours, "metadata": {**ours["metadata"], "labels": {"app": "istiod"}}})
    assert [leftover.stays for leftover in (await planned(mesh)).leftovers] == ["", "", ""]


@pytest.mark.parametrize(
    "foreign",
    [
        made("Secret", "istio-ingressgateway-certs"),
        made("ConfigMap", "istio-grafana-dashboards"),
        made("ConfigMap", "istio-tuned-by-hand-leader"),
        made("Secret", "sh.helm.release.v1.kiali.v1"),
        made("Secret", "nksmesh-of-a-user"),
        made("ConfigMap", "made-by-somebodys-controller", ownerReferences=[{"uid": "not-ours"}]),
        made("Secret", "token", annotations={"kubernetes.io/service-account.name": "somebodys"}),
    ],
    ids=lambda one: one["metadata"]["name"],
)
async def test_a_users_own_keeps_the_namespace(mesh: FakeCluster, foreign: dict[str, Any]) -> None:
    mesh.objects.put(foreign)
    plan = await planned(mesh)
    assert kept(plan) == [f"{foreign['kind']} {foreign['metadata']['name']}"]
    assert NAMESPACE not in plan.going_namespaces


async def test_the_meshs_own_keeps_no_namespace(mesh: FakeCluster) -> None:
    account = of_release(made("ServiceAccount", "istiod", uid="account"), ISTIOD)
    for one in (
        account,
        made("Secret", "istiod-token-x", uid="token", annotations={"kubernetes.io/service-account.name": "istiod"}),
        made("Secret", "default-token-x", annotations={"kubernetes.io/service-account.name": "default"}),
        made("Secret", "sh.helm.release.v1.istiod.v12"),
        made("ServiceAccount", "default"),
        made("ConfigMap", "kube-root-ca.crt"),
        made("ConfigMap", "istio-ca-root-cert"),
        made("ConfigMap", "istio-ca-crl"),
        made("ConfigMap", "istio-leader"),
        made("ConfigMap", "istio-ip-autoallocate"),
        made("ConfigMap", "istio-namespace-controller-election"),
        replica_set("istiod"),
        pod("istiod"),
    ):
        mesh.objects.put(one)
    plan = await planned(mesh)
    assert kept(plan) == []
    assert plan.going_namespaces == (NAMESPACE, "edge")
    assert "Event" not in " ".join(mesh.objects.asked("list"))


async def test_kubernetes_namespaces_never_go(mesh: FakeCluster) -> None:
    mesh.storage.put(helm_has(Release(component="gateway", name="in-default", namespace="default")))
    mesh.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    assert "default" not in (await planned(mesh)).namespaces


def apiservice(name: str, *, aggregated: bool) -> dict[str, Any]:
    spec = {"service": {"name": "metrics-server"}} if aggregated else {}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_what_cannot_be_looked_at_keeps_the_namespace(mesh: FakeCluster, status: int) -> None:
    mesh.objects.refuses["Pod", NAMESPACE] = refused(status)
    plan = await planned(mesh)
    assert kept(plan) == [f"cannot tell whether it contains Pod (v1): words {status}"]
    assert plan.going_namespaces == ("edge",)


async def test_a_kind_that_went_meanwhile_holds_nothing(mesh: FakeCluster) -> None:
    mesh.objects.refuses["Pod", NAMESPACE] = refused(404)
    assert kept(await planned(mesh)) == []


@pytest.mark.parametrize("aggregated", [True, False])
async def test_only_another_servers_silence_is_passed_over(mesh: FakeCluster, aggregated: bool) -> None:
    mesh.objects.served.append(("widgets.example/v1", "Widget"))
    mesh.objects.refuses["Widget", NAMESPACE] = refused(503)
    mesh.objects.silent = ["metrics.k8s.io/v1beta1"]
    mesh.objects.put(apiservice("v1.widgets.example", aggregated=aggregated))
    mesh.objects.put(apiservice("v1beta1.metrics.k8s.io", aggregated=aggregated))
    plan = await planned(mesh)
    assert (NAMESPACE in plan.going_namespaces) is aggregated
    assert set(plan.unserved) == ({"widgets.example/v1", "metrics.k8s.io/v1beta1"} if aggregated else set())
    assert len(kept(plan)) == (0 if aggregated else 2)


async def test_what_came_meanwhile_keeps_the_namespace(mesh: FakeCluster) -> None:
    plan = await planned(mesh)
    assert plan.going_namespaces == (NAMESPACE, "edge")
    delete = mesh.objects.delete

    async def and_somebody_writes(ref: ObjectRef, *, orphan: bool = False) -> bool:
        mesh.objects.put(made("ConfigMap", "just-now", "edge"))
        return await delete(ref, orphan=orphan)

    mesh.objects.delete = and_somebody_writes  # type: ignore[method-assign]
    result = await purged(mesh, plan)
    assert "namespace edge: ConfigMap edge/just-now" in result.left
    assert "Namespace edge" not in mesh.objects.asked("delete")


async def test_pods_whose_owner_went_before_them_are_still_the_meshs(mesh: FakeCluster) -> None:
    mesh.objects.put(replica_set("istiod"))
    mesh.objects.put(pod("istiod"))
    plan = await planned(mesh)
    helm = helm_of(mesh)

    def owners_end_first() -> None:
        for ref in [one for one in mesh.objects.stored if one.kind in {"Deployment", "ReplicaSet"}]:
            mesh.objects.stored.pop(ref)

    helm.then["istiod"] = owners_end_first
    result = await uninstall(plan, runtime_of(mesh, helm=helm, waits=SHORT, listener=Heard()))
    assert f"namespace {NAMESPACE}" in result.removed


async def test_objects_that_came_after_the_question_were_not_agreed_to(mesh: FakeCluster) -> None:
    plan = await planned(mesh)
    version = {"apiVersion": "networking.istio.io/v1", "kind": "Gateways", "metadata": {"name": "g", "namespace": "a"}}
    mesh.objects.put(version)
    with pytest.raises(ClusterError, match=r"would now remove more than was shown: .*gateways"):
        await purged(mesh, plan)
    assert mesh.objects.asked("delete") == []


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition"])
async def test_what_does_not_end_is_waited_for_and_no_longer(mesh: FakeCluster, kind: str) -> None:
    if kind == "Namespace":
        mesh.live.show({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    plan = await planned(mesh)
    remove = mesh.live.remove

    def held(ref: ObjectRef) -> None:
        if ref.kind != kind:  # a finalizer holds it
            remove(ref)

    mesh.live.remove = held  # type: ignore[method-assign]
    with pytest.raises(NotReadyError, match=f"{kind} .* is still being deleted after 1m00s") as caught:
        await purged(mesh, plan)
    assert "finalizer" in caught.value.hint
    assert caught.value.__notes__[0].startswith("removed before it failed: release")
    # neither waits for the other
    assert {f"Namespace {NAMESPACE}", GATEWAYS} <= {*mesh.objects.asked("delete")}


def labelled(name: str, **labels: str) -> dict[str, Any]:
    named = {key.replace("istio_rev", "istio.io/rev").replace("_", "-"): text for key, text in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": named}}


async def test_leases_and_istios_own_labels_go_and_sidecars_are_not_touched(mesh: FakeCluster) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    for name in ("istio-gateway-deployment-1-20-0", "nksmesh"):
        mesh.objects.put({**lease, "metadata": {"name": name, "namespace": NAMESPACE}})
    mesh.objects.put(labelled("shop", istio_injection="enabled", istio_rev="prod", team="shop"))
    mesh.objects.put({**pod("cart", namespace="shop"), "kind": "Pod"})
    plan = await planned(mesh)
    result = await purged(mesh, plan)
    assert f"Lease {NAMESPACE}/istio-gateway-deployment-1-20-0" in mesh.objects.asked("delete")
    assert f"Lease {NAMESPACE}/nksmesh" not in mesh.objects.asked("delete")
    assert mesh.objects.asked("merge") == ["Namespace shop"]
    assert mesh.objects.stored[ObjectRef("v1", "Namespace", "shop")]["metadata"]["labels"] == {"team": "shop"}
    assert "label istio-injection=enabled, istio.io/rev=prod of namespace shop" in result.removed
    assert not [one for one in mesh.objects.asked("delete") if "cart" in one]
    assert [one for one in result.left if "sidecar" in one] == ["1 workload (1 pod) runs a sidecar: Pod shop/cart-1-x"]


async def test_a_namespace_labelled_after_the_question_keeps_everything(mesh: FakeCluster) -> None:
    plan = await planned(mesh)
    mesh.objects.put(labelled("late", istio_injection="enabled"))
    with pytest.raises(ClusterError, match="labels of namespace late; nothing was removed"):
        await purged(mesh, plan)


async def test_another_control_plane_keeps_the_labels(mesh: FakeCluster) -> None:
    mesh.objects.put(labelled("shop", istio_injection="enabled"))
    mesh.storage.put(helm_has(Release(component="istiod", name="istiod", namespace="mesh-b")))
    plan = await plan_uninstall(mesh, NAMESPACE, purge=True)
    assert [one.stays for one in plan.keeping_labels] == ["Helm release mesh-b/istiod may need it"]
    result = await purged(mesh, plan)
    assert mesh.objects.asked("merge") == []
    assert any(one.startswith("label istio-injection=enabled of namespace shop (Helm") for one in result.left)


async def test_crds_can_be_kept_with_what_they_hold(mesh: FakeCluster) -> None:
    mesh.objects.served.append(("networking.istio.io/v1", "Gateways"))
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "Gateways", "metadata": {"name": "g", "namespace": "edge"}}
    mesh.objects.put(rule)
    plan = await plan_uninstall(mesh, "", purge=True, keep_crds=True)
    result = await purged(mesh, plan)
    assert GATEWAYS not in mesh.objects.asked("delete")
    assert f"{GATEWAYS} (1 gateways; --keep-crds)" in result.left
    # an Istio object that is kept keeps its namespace
    assert "Namespace edge" not in mesh.objects.asked("delete")
    assert f"Namespace {NAMESPACE}" in mesh.objects.asked("delete")


async def test_the_history_goes_last_and_alone_is_something_to_remove(mesh: FakeCluster) -> None:
    mesh.histories.kept[NAMESPACE] = History(namespace=NAMESPACE)
    await purged(mesh, await planned(mesh))
    assert (mesh.histories.kept, mesh.records.asked("delete")) == ({}, [NAMESPACE])

    bare = FakeCluster()
    assert (await planned(bare)).empty
    run = Run(command="uninstall", namespace=NAMESPACE, outcome=Outcome.INTERRUPTED)
    bare.histories.kept[NAMESPACE] = History(namespace=NAMESPACE, runs=(run,))
    assert (await plan_uninstall(bare, "", purge=False)).empty
    plan = await planned(bare)
    assert not plan.empty
    assert (await purged(bare, plan)).removed == ("the history of the mesh's runs",)
    assert bare.histories.kept == {}
