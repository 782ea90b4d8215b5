"""The end of a mesh: what goes, what stays and is said to stay, and that a purge leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.faults.expectations import assert_complete, statuses
from tests.cluster.faults.webhooks import policy
from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Object, Reader, Ref, packed
from tests.cluster.state import state_of

pytestmark = pytest.mark.cluster

RULE = {
    "apiVersion": "networking.istio.io/v1beta1",
    "kind": "Gateway",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
}


RULES = "/apis/networking.istio.io/v1beta1/namespaces/default/gateways"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SHOP = "/apis/apps/v1/namespaces/shop/deployments"
POD: Object = {"metadata": {"name": "asked"}, "spec": {"containers": [{"name": "app", "image": "example/a"}]}}


def namespace(cluster: Reader, name: str, **labels: str) -> None:
    """Make a namespace, labelled as it is said."""
    named = {key.replace("istio_rev", "istio.io/rev").replace("_", "-"): text for key, text in labels.items()}
    cluster.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": named}})


def deployed(cluster: Reader, name: str) -> None:
    """Bring up a workload in the namespace shop."""
    template = {"metadata": {"labels": {"app": name}}, "spec": POD["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    cluster.post(SHOP, {"metadata": {"name": name}, "spec": spec})
    cluster.until(SHOP, lambda found: all(one.get("status", {}).get("availableReplicas") for one in found))


def labels_of(cluster: Reader, name: str) -> dict[str, str]:
    labels = cluster.get(f"/api/v1/namespaces/{name}")["metadata"].get("labels", {})
    return {key: text for key, text in labels.items() if key != "kubernetes.io/metadata.name"}


def containers(pods: list[Object]) -> list[set[str]]:
    return [{container["name"] for container in pod["spec"]["containers"]} for pod in pods]


def tag_by_hand(cluster: Reader, name: str) -> None:
    """Set a revision tag as istioctl does: a copy of the injector's webhooks, of no Helm release."""
    injector = cluster.get(f"{WEBHOOKS}/istio-sidecar-injector")
    selector = {"matchExpressions": [{"key": "istio.io/rev", "operator": "In", "values": [name]}]}
    metadata = {"name": f"istio-revision-tag-{name}", "labels": {"istio.io/rev": "default", "istio.io/tag": name}}
    first = {**injector["webhooks"][0], "namespaceSelector": selector, "objectSelector": {}}
    cluster.post(WEBHOOKS, {"metadata": metadata, "webhooks": [first]})


def test_it_leaves_what_holds_the_users_own_and_says_so(mesh: Program, cluster: Reader) -> None:
    nothing = mesh("uninstall", "--yes")
    assert (nothing.data["releases"], nothing.data["removed"]) == ([], [])

    installed = mesh("install", "--region", "kr1", "--profile", "demo")
    cluster.post(RULES, RULE)
    namespace(cluster, "shop", istio_injection="enabled")
    namespace(cluster, "tagged", istio_rev="prod")
    deployed(cluster, "cart")
    tag_by_hand(cluster, "prod")
    root = cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")["data"]
    standing = cluster.everything()

    unasked = mesh("uninstall", code=2)
    assert "--yes" in unasked.error["hint"]
    assert cluster.everything() == standing

    ran = mesh("uninstall", "--yes")
    (address,) = installed.data["addresses"]["istio-ingressgateway"]
    assert ran.data["addresses"] == {"istio-system/istio-ingressgateway": [address]}
    assert set(ran.data["removed"][:2]) == {"release istio-ingressgateway", "release istio-egressgateway"}
    assert ran.data["removed"][2:] == [
        "MutatingWebhookConfiguration istio-revision-tag-prod",
        "release istiod",
        "release istio-base",
    ]
    left = "\n".join(ran.data["left"])
    assert "gateways.networking.istio.io (1 gateways)" in left
    assert "Secret istio-system/istio-ca-secret" in left
    assert "namespace istio-system" in left
    assert "label istio-injection=enabled of namespace shop" in left
    assert "1 workload (1 pod) runs a sidecar: Deployment shop/cart" in left
    assert ran.data["next_steps"] == ["kubectl rollout restart -n shop deployment/cart"]
    assert "ConfigMap istio-ca-root-cert in" in left
    told = {key: ran.data["counts"][key] for key in ("istio_objects", "labelled_namespaces", "workloads", "pods")}
    assert told == {"istio_objects": 1, "labelled_namespaces": 2, "workloads": 1, "pods": 1}

    assert cluster.helm_revisions() == {}
    remaining = cluster.everything()
    assert {ref.name for ref in remaining if "nksmesh" in ref.name} == {"nksmesh.history.istio-system"}
    assert [run["command"] for run in mesh("history").data["runs"]] == ["uninstall", "install"]
    assert not {ref for ref in remaining if ref.kind.endswith("WebhookConfiguration")}
    assert cluster.get(f"{RULES}/shop")
    assert mesh("status").data["installed"] is False
    # nothing refuses anything: an Istio object, and pods in namespaces that are labelled still
    cluster.post(RULES, {**RULE, "metadata": {"name": "later", "labels": {"istio.io/rev": "default"}}})
    made = [cluster.post(f"/api/v1/namespaces/{name}/pods?dryRun=All", POD) for name in ("shop", "tagged")]
    assert containers(made) == [{"app"}, {"app"}]
    assert containers(cluster.pods("app=cart", "shop")) == [{"app", "istio-proxy"}]  # it was not touched

    # the next mesh has the same root, and takes over what was left
    mesh("install", "--region", "kr1")
    assert cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")["data"] == root


def test_a_purge_leaves_the_cluster_as_it_was(mesh: Program, cluster: Reader) -> None:
    namespace(cluster, "shop", istio_injection="enabled", team="shop")
    before = set(cluster.everything())
    mesh("install", "--region", "kr1", "--profile", "demo")
    cluster.post(RULES, RULE)
    leases = "/apis/coordination.k8s.io/v1/namespaces/istio-system/leases"
    cluster.post(leases, {"metadata": {"name": "istio-gateway-deployment-default"}})

    # kept CRDs keep their objects, and are this mesh's still when they are purged without
    kept = mesh("uninstall", "--purge", "--keep-crds", "--yes")
    assert "CustomResourceDefinition gateways.networking.istio.io (1 gateways; --keep-crds)" in kept.data["left"]
    assert cluster.get(f"{RULES}/shop")
    assert "label istio-injection=enabled of namespace shop" in kept.data["removed"]
    assert "Lease istio-system/istio-gateway-deployment-default" in kept.data["removed"]
    assert labels_of(cluster, "shop") == {"team": "shop"}
    assert not {ref.name for ref in cluster.everything() if "nksmesh" in ref.name}

    ran = mesh("uninstall", "--purge", "--yes")
    assert any("gateways.networking.istio.io" in one for one in ran.data["removed"])
    assert ran.data["left"] == []
    assert set(cluster.everything()) == before
    # after it a mesh can be installed again at once
    assert mesh("install", "--region", "kr2").data["region"] == "kr2"


def test_half_an_uninstall_is_told_and_goes_either_way(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    mesh("install", "--region", "kr1")
    before = set(state_of(cluster))
    stored = cluster.helm_release("istiod")  # installed long ago: what Helm has just begun would be let settle
    stored["info"]["last_deployed"] = "2026-01-01T00:00:00.000000000Z"
    where = "/api/v1/namespaces/istio-system/secrets/sh.helm.release.v1.istiod.v1"
    cluster.merge(where, {"data": {"release": packed(stored)}})

    def keeping_istiod(found: Object) -> str:
        return "istiod stays" if found["metadata"]["name"] == "istiod" else ""

    def fails_half_way() -> Ran:
        with policy(cluster, tmp_path, keeping_istiod, resource="deployments", group="apps", operation="DELETE"):
            return mesh("uninstall", "--yes", code=5)

    ran = fails_half_way()
    assert "istiod stays" in ran.error["detail"]
    assert ran.error["notes"] == ["removed before it failed: release istio-ingressgateway"]
    told = mesh("status").data
    assert (told["ready"], [one["name"] for one in told["gone"]]) == (False, ["istio-ingressgateway"])
    hint = mesh("rollback", "--yes", code=2).error["hint"]
    assert "nksmesh install to restore what it removed, or nksmesh uninstall to remove the rest" in hint
    mesh("install")
    assert_complete(cluster)
    assert set(state_of(cluster)) == before

    fails_half_way()
    mesh("uninstall", "--yes")
    assert statuses(cluster) == {}
    assert mesh("status").data["installed"] is False


def test_a_namespace_with_somebody_elses_objects_stays(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dashboards"}, "data": {"a": "b"}}
    cluster.post("/api/v1/namespaces/istio-system/configmaps", settings)
    ran = mesh("uninstall", "--purge", "--yes")
    assert ran.data["left"] == ["namespace istio-system: ConfigMap istio-system/dashboards"]
    assert Ref("v1", "ConfigMap", "istio-system", "dashboards") in cluster.everything()
    assert cluster.find("/api/v1/namespaces/istio-system/secrets/istio-ca-secret") is None
    assert cluster.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions") == []


def test_a_purge_leaves_another_tools_mesh_alone(
    mesh: Program, cluster: Reader, helm3: str, example_charts: Path
) -> None:
    helm = PlainHelm(helm3, mesh.kubeconfig)
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    cluster.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
    for document in helm.rendered_plainly("base", example_charts / "base", "--include-crds"):
        if document["kind"] == "CustomResourceDefinition":
            cluster.post(crds, document)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ca-secret"}, "data": {}}
    cluster.post("/api/v1/namespaces/istio-system/secrets", secret)
    labels = {"app": "istiod"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "discovery", "image": "x"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    istiod = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod", "labels": labels},
        "spec": spec,
    }
    cluster.post("/apis/apps/v1/namespaces/istio-system/deployments", istiod)
    standing = {one["metadata"]["name"] for one in cluster.items(crds)}
    assert standing

    ran = mesh("uninstall", "--purge", "--yes")
    assert ran.data["removed"] == []
    assert any("may belong to another mesh" in one for one in ran.data["left"])
    assert {one["metadata"]["name"] for one in cluster.items(crds)} == standing
    assert cluster.find("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")


def test_a_users_secret_with_istios_name_keeps_the_namespace_and_history_no_name(
    mesh: Program, cluster: Reader, helm3: str
) -> None:
    mesh("install", "--region", "kr1")
    helm = PlainHelm(helm3, mesh.kubeconfig)
    helm("uninstall", "istio-ingressgateway", "--keep-history")
    assert [one["name"] for one in mesh("status").data["gone"]] == ["istio-ingressgateway"]
    again = mesh("install", "--region", "kr1")
    assert again.actions["istio-ingressgateway"] == "install"
    assert helm.releases()["istio-ingressgateway"] == "deployed"

    certificate = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ingressgateway-certs"}, "data": {}}
    cluster.post("/api/v1/namespaces/istio-system/secrets", certificate)
    ran = mesh("uninstall", "--purge", "--yes")
    assert ran.data["left"] == ["namespace istio-system: Secret istio-system/istio-ingressgateway-certs"]
    assert cluster.find("/api/v1/namespaces/istio-system/secrets/istio-ingressgateway-certs")


def test_one_istio_revision_goes_and_the_mesh_stays(
    mesh: Program, cluster: Reader, helm3: str, example_charts: Path
) -> None:
    mesh("install", "--region", "kr1")
    helm = PlainHelm(helm3, mesh.kubeconfig)
    revision = ("--set", "revision=1-18-7", "--set", "revisionTags={old}")
    helm("install", "istiod-1-18-7", str(example_charts / "istiod"), *revision)
    namespace(cluster, "shop", istio_rev="old")
    standing = cluster.deployment("istiod"), cluster.service("istio-ingressgateway")

    assert "own istiod" in mesh("uninstall", "--revision", "default", "--yes", code=2).error["message"]
    refused = mesh("uninstall", "--revision", "1-18-7", code=7)
    assert refused.error["detail"] == "namespace shop (istio.io/rev=old)"
    ran = mesh("uninstall", "--revision", "1-18-7", "--yes")
    assert ran.data["removed"] == ["release istiod-1-18-7"]
    assert ran.data["left"] == ["label istio.io/rev=old of namespace shop"]

    # its tag went with it, and whoever carries it is not stopped
    assert {one["metadata"]["name"] for one in cluster.items(WEBHOOKS)} == {"istio-sidecar-injector"}
    assert containers([cluster.post("/api/v1/namespaces/shop/pods?dryRun=All", POD)]) == [{"app"}]
    assert (cluster.deployment("istiod"), cluster.service("istio-ingressgateway")) == standing
    assert mesh("status").data["ready"] is True
    assert mesh("plan", "--exit-code").changes == {}
    assert mesh("history").data["runs"][0]["command"] == "uninstall --revision"
