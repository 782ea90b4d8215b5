"""The end of a mesh: what goes, what stays and is said to stay, and that a purge leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader, Ref

pytestmark = pytest.mark.cluster

RULE = {
    "apiVersion": "networking.istio.io/v1beta1",
    "kind": "Gateway",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
}


def test_it_leaves_what_holds_the_users_own_and_says_so(mesh: Program, cluster: Reader) -> None:
    nothing = mesh("uninstall", "--yes")
    assert (nothing.data["releases"], nothing.data["removed"]) == ([], [])

    installed = mesh("install", "--region", "kr1", "--profile", "demo")
    cluster.post("/apis/networking.istio.io/v1beta1/namespaces/default/gateways", RULE)
    root = cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")["data"]
    standing = cluster.everything()

    unasked = mesh("uninstall", code=2)
    assert "--yes" in unasked.error["hint"]
    assert cluster.everything() == standing

    ran = mesh("uninstall", "--yes")
    (address,) = installed.data["addresses"]["istio-ingressgateway"]
    assert ran.data["addresses"] == {"istio-system/istio-ingressgateway": [address]}
    assert set(ran.data["removed"][:2]) == {"release istio-ingressgateway", "release istio-egressgateway"}
    assert ran.data["removed"][2:] == ["release istiod", "release istio-base"]
    left = "\n".join(ran.data["left"])
    assert "gateways.networking.istio.io (1 gateways)" in left
    assert "Secret istio-system/istio-ca-secret" in left
    assert "namespace istio-system" in left

    assert cluster.helm_revisions() == {}
    remaining = cluster.everything()
    assert not {ref for ref in remaining if "nksmesh" in ref.name}
    assert not {ref for ref in remaining if ref.kind.endswith("WebhookConfiguration")}
    assert cluster.get("/apis/networking.istio.io/v1beta1/namespaces/default/gateways/shop")
    assert mesh("status").data["installed"] is False

    # the next mesh has the same root, and takes over what was left
    mesh("install", "--region", "kr1")
    assert cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")["data"] == root


def test_a_purge_leaves_the_cluster_as_it_was(mesh: Program, cluster: Reader) -> None:
    before = set(cluster.everything())
    mesh("install", "--region", "kr1", "--profile", "demo")
    cluster.post("/apis/networking.istio.io/v1beta1/namespaces/default/gateways", RULE)
    ran = mesh("uninstall", "--purge", "--yes")
    assert any("gateways.networking.istio.io" in one for one in ran.data["removed"])
    assert ran.data["left"] == []
    assert set(cluster.everything()) == before
    # after it a mesh can be installed again at once
    assert mesh("install", "--region", "kr2").data["region"] == "kr2"


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
    assert any("not known to be this mesh's" in one for one in ran.data["left"])
    assert {one["metadata"]["name"] for one in cluster.items(crds)} == standing
    assert cluster.find("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")


def test_a_users_secret_with_istios_name_keeps_the_namespace_and_history_no_name(
    mesh: Program, cluster: Reader, helm3: str
) -> None:
    mesh("install", "--region", "kr1")
    helm = PlainHelm(helm3, mesh.kubeconfig)
    helm("uninstall", "istio-ingressgateway", "--keep-history")
    assert mesh("status").data["ready"] is True
    again = mesh("install", "--region", "kr1")
    assert again.actions["istio-ingressgateway"] == "install"
    assert helm.releases()["istio-ingressgateway"] == "deployed"

    certificate = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ingressgateway-certs"}, "data": {}}
    cluster.post("/api/v1/namespaces/istio-system/secrets", certificate)
    ran = mesh("uninstall", "--purge", "--yes")
    assert ran.data["left"] == ["namespace istio-system: Secret istio-system/istio-ingressgateway-certs"]
    assert cluster.find("/api/v1/namespaces/istio-system/secrets/istio-ingressgateway-certs")
