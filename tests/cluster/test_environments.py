"""Meshes of a user's own: an environment in a folder, gateways in namespaces of their own, another control plane's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

PROXY = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio/proxyv2:1.20.0"


def write(folder: Path, name: str, **documents: object) -> None:
    """Write an environment: mesh.yaml and values for components or releases."""
    home = folder / "values" / "environments" / name
    home.mkdir(parents=True, exist_ok=True)
    for stem, document in documents.items():
        (home / f"{stem.replace('_', '-')}.yaml").write_text(yaml.safe_dump(document))


def test_an_environment_with_gateways_of_its_own(
    mesh: Program, cluster: Reader, sandbox: Sandbox, example_charts: Path
) -> None:
    folder = mesh.folder / "meshes"
    mesh("init", str(folder))
    wanted = {
        "context": sandbox.context,
        "region": "kr1",
        "version": "1.20.0",
        "charts": str(example_charts),
        "gateways": [
            {"name": "istio-ingressgateway", "namespace": "edge"},
            {"name": "partner-gateway", "namespace": "partners", "values": {"service": {"type": "ClusterIP"}}},
        ],
    }
    write(folder, "shop", mesh=wanted, istiod={"pilot": {"traceSampling": 9}}, gateway={"env": {"SHOP": "yes"}})

    ran = mesh("install", "--dir", str(folder), "-e", "shop", charts="")
    assert ran.data["environment"] == "shop"
    created = {name for name, action in ran.actions.items() if action == "create"}
    assert created == {"namespace istio-system", "namespace edge", "namespace partners"}
    assert cluster.images("istio=ingressgateway", "edge") == {PROXY}
    assert cluster.images("istio=partner-gateway", "partners") == {PROXY}
    assert cluster.service("partner-gateway", "partners")["spec"]["type"] == "ClusterIP"
    assert cluster.service("istio-ingressgateway", "edge")["status"]["loadBalancer"]["ingress"]
    assert set(ran.data["addresses"]) == {"istio-ingressgateway"}
    assert cluster.helm_release("istiod")["config"]["pilot"] == {"traceSampling": 9}
    assert cluster.helm_release("partner-gateway", namespace="partners")["config"]["env"] == {"SHOP": "yes"}
    status = mesh("status")
    assert {gateway["service"] for gateway in status.data["gateways"]} == {
        "edge/istio-ingressgateway",
        "partners/partner-gateway",
    }
    assert status.data["ready"] is True

    # the folder one stands in is found by its charts.lock, and without -e the mesh is as installed
    inside = Program(kubeconfig=mesh.kubeconfig, folder=folder)
    standing = cluster.everything()
    assert inside("install", "-e", "shop").changes == {}
    assert inside("install").changes == {}
    assert cluster.everything() == standing

    refused = inside("plan", "-e", "shop", "--context", "another", code=2)
    assert sandbox.context in refused.error["message"]

    # a gateway that is no longer wanted is shown, and goes only with --prune
    wanted["gateways"] = [{"name": "istio-ingressgateway", "namespace": "edge"}]
    write(folder, "shop", mesh=wanted)
    without = inside("plan", "-e", "shop")
    assert without.data["unwanted"] == ["partner-gateway"]
    assert without.changes == {}
    shown = inside("plan", "-e", "shop", output="")
    assert "partner-gateway" in shown.stdout
    assert inside("install", "-e", "shop").changes == {}
    assert cluster.service("partner-gateway", "partners")
    # and is still known afterwards
    assert inside("plan", "-e", "shop").data["unwanted"] == ["partner-gateway"]
    pruned = inside("install", "-e", "shop", "--prune")
    assert pruned.changes == {"remove partner-gateway": "remove"}
    assert cluster.find("/api/v1/namespaces/partners/services/partner-gateway") is None
    assert not any("partner-gateway" in name for name in cluster.helm_revisions())
    assert inside("plan", "-e", "shop", "--exit-code").data["unwanted"] == []


def test_a_pull_secret_that_does_not_exist_is_seen_before_anything_is_written(mesh: Program, cluster: Reader) -> None:
    (mesh.folder / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    gateways = [{"name": "istio-ingressgateway", "namespace": "edge"}]
    write(mesh.folder, "own", mesh={"region": "kr1", "pull_secrets": ["ncr"], "gateways": gateways})

    def missing() -> list[str]:
        ran = mesh("plan", "-e", "own", "--version", "1.20.0")
        return [finding["message"] for finding in ran.data["findings"] if finding["subject"] == "Secret ncr"]

    before = cluster.everything()
    assert [one.partition(":")[0] for one in missing()] == [
        "pull secret ncr does not exist in namespaces istio-system, edge"
    ]
    shown = mesh("plan", "-e", "own", "--version", "1.20.0", output="").stdout
    assert "kubectl create namespace edge" in " ".join(shown.split())
    assert cluster.everything() == before
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "edge"}})
    kept = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": '{"auths": {}}'}}
    cluster.post("/api/v1/namespaces/edge/secrets", {"metadata": {"name": "ncr"}, **kept})
    assert [one.partition(":")[0] for one in missing()] == ["pull secret ncr does not exist in namespace istio-system"]


def test_the_control_plane_in_another_namespace(mesh: Program, cluster: Reader) -> None:
    ran = mesh("install", "--region", "kr1", "-n", "mesh-system")
    assert ran.data["namespace"] == "mesh-system"
    assert cluster.find("/api/v1/namespaces/istio-system") is None
    for release in ("istio-base", "istiod"):
        config = cluster.helm_release(release, namespace="mesh-system")["config"]
        assert config["global"]["istioNamespace"] == "mesh-system"
    webhooks = cluster.items("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations")
    called = {hook["clientConfig"]["service"]["namespace"] for webhook in webhooks for hook in webhook["webhooks"]}
    assert called == {"mesh-system"}
    assert cluster.images("istio=ingressgateway", "mesh-system") == {PROXY}

    standing = cluster.everything()
    # the only mesh there is needs no name
    again = mesh("install", charts="")
    assert (again.changes, again.data["namespace"]) == ({}, "mesh-system")
    assert cluster.everything() == standing
    status = mesh("status")
    assert (status.data["namespace"], status.data["ready"]) == ("mesh-system", True)

    gone = mesh("uninstall", "-n", "mesh-system", "--purge", "--yes")
    assert "namespace mesh-system" in gone.data["removed"]
    assert not any("mesh-system" in (ref.namespace, ref.name) for ref in cluster.everything())
