"""Drift and repair: what somebody changes by hand is found and put back, and Helm goes on as if nothing had been."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader

pytestmark = pytest.mark.cluster

APPS = "/apis/apps/v1/namespaces/istio-system/deployments"
CORE = "/api/v1/namespaces/istio-system"
INJECTOR = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io"
ISTIOD = "Deployment istio-system/istiod"
EDGE = "Service istio-system/istio-ingressgateway"
DISCOVERY = "spec.template.spec.containers[discovery]"


def drift(mesh: Program, *options: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return what differs, by object; everything must have been looked at."""
    data = mesh("drift", *options, code=code).data
    assert data["installed"]
    assert data["looked_at"] > 20
    assert (data["not_looked_at"], data["notes"]) == ([], [])
    return {one["object"]: one for one in data["drift"]}


def renumber(cluster: Reader, name: str, port: int) -> None:
    """Give a port of the gateway's Service another number."""
    ports: list[Object] = cluster.service("istio-ingressgateway")["spec"]["ports"]
    changed = [one | {"port": port} if one["name"] == name else one for one in ports]
    cluster.merge(f"{CORE}/services/istio-ingressgateway", {"spec": {"ports": changed}})


def tamper(cluster: Reader) -> None:
    """Change by hand what people change by hand, and what others rightly write, too."""
    istiod = cluster.deployment("istiod")
    (container,) = istiod["spec"]["template"]["spec"]["containers"]
    container |= {"image": "registry.example.com/pilot:mine", "args": [*container["args"], "--log_output_level=debug"]}
    container["env"].append({"name": "PILOT_ADDED", "value": "by hand"})
    cluster.merge(
        f"{APPS}/istiod",
        {
            "metadata": {"labels": {"istio": None, "mine": "yes"}},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [container], "hostNetwork": True}}},
        },
    )
    restarted = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2024-01-01T00:00:00Z"}}}
    cluster.merge(f"{APPS}/istio-ingressgateway", {"spec": {"replicas": 2, "template": restarted}})
    renumber(cluster, "http2", 8081)
    webhooks = cluster.get(INJECTOR)["webhooks"]
    webhooks[0]["rules"][0]["operations"] = ["CREATE", "UPDATE"]
    cluster.merge(INJECTOR, {"webhooks": webhooks})
    cluster.delete(f"{CORE}/configmaps/istio")


def test_whatever_is_changed_by_hand_is_found_and_put_back(
    mesh: Program, cluster: Reader, helm3: str, helm4: str, example_charts: Path
) -> None:
    mesh = replace(mesh, helm=helm3)
    mesh("install", "--region", "kr1", "--set", "istiod:pilot.autoscaleEnabled=false")
    assert drift(mesh, "--exit-code") == {}
    assert "No drift" in mesh("drift", output="").stdout
    assert mesh("repair").data["repaired"] == []

    address = cluster.service("istio-ingressgateway")["spec"]["clusterIP"]
    tamper(cluster)
    found = drift(mesh, "--diff", "--exit-code", code=10)
    assert {name: (one["change"], one["release"]) for name, one in found.items()} == {
        "ConfigMap istio-system/istio": ("missing", "istiod"),
        ISTIOD: ("differs", "istiod"),
        "MutatingWebhookConfiguration istio-sidecar-injector": ("differs", "istiod"),
        EDGE: ("differs", "istio-ingressgateway"),
    }
    assert found[ISTIOD]["fields"] == [
        "metadata.labels.istio",
        "spec.replicas",
        f"{DISCOVERY}.args",
        f"{DISCOVERY}.env[PILOT_ADDED]",
        f"{DISCOVERY}.image",
        "spec.template.spec.hostNetwork",
    ]
    assert [one["field"] for one in found[ISTIOD]["added"]] == ["spec.template.spec.hostNetwork"]
    assert "-        image: registry.example.com/pilot:mine" in found[ISTIOD]["diff"]
    assert found["MutatingWebhookConfiguration istio-sidecar-injector"]["fields"] == [
        "webhooks[rev.namespace.sidecar-injector.istio.io].rules"
    ]
    assert set(found[EDGE]["fields"]) == {"spec.ports[80/TCP]", "spec.ports[8081/TCP]"}
    assert "--yes" in mesh("repair", code=2).error["hint"]
    assert "Deployment/istio-system/istiod" in mesh("repair", "--yes", "Deployment/none", code=2).error["hint"]

    ran = mesh("repair", "--yes", "service/istio-ingressgateway", "ConfigMap/istio-system/istio")
    assert ran.data["repaired"] == ["ConfigMap istio-system/istio", EDGE]
    assert ran.data["others"] == 2
    assert cluster.service("istio-ingressgateway")["spec"]["clusterIP"] == address
    ran = mesh("repair", "--yes")
    assert "Deployment istiod is available" in ran.data["proved"]
    assert drift(mesh, "--exit-code") == {}
    istiod = cluster.deployment("istiod")
    assert istiod["metadata"]["labels"]["mine"] == "yes"
    assert istiod["status"]["readyReplicas"] == istiod["spec"]["replicas"] == 1
    assert cluster.deployment("istio-ingressgateway")["spec"]["replicas"] == 2
    assert mesh("plan", "--exit-code").changes == {}
    history = mesh("history").data["runs"]
    assert [(run["command"], run["outcome"]) for run in history] == [
        ("repair", "done"),
        ("repair", "done"),
        ("install", "done"),
    ]

    # Helm goes on, and takes away what the releases no longer have
    plain = PlainHelm(helm3, mesh.kubeconfig)
    plain("upgrade", "istiod", str(example_charts / "istiod"), "--reuse-values", "--skip-crds", "--wait")
    assert drift(mesh) == {}
    mesh = replace(mesh, helm=helm4)
    mesh("install", "--region", "kr2", "--set", "istiod:pilot.autoscaleEnabled=true")
    assert drift(mesh) == {}
    cluster.delete(f"{APPS}/istio-ingressgateway")
    renumber(cluster, "http2", 8082)
    cluster.merge(CRD, {"spec": {"names": {"shortNames": ["mine"]}}})
    cluster.merge(f"{APPS}/istiod", {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}}}})
    assert {name: one["change"] for name, one in drift(mesh).items()} == {
        "CustomResourceDefinition gateways.networking.istio.io": "differs",
        "Deployment istio-system/istio-ingressgateway": "missing",
        ISTIOD: "differs",
        EDGE: "differs",
    }
    mesh("repair", "--yes")
    assert drift(mesh) == {}
    assert mesh("plan", "--exit-code").changes == {}
    # what was put back is Helm 4's own: it need not be forced to change it
    plain = PlainHelm(helm4, mesh.kubeconfig)
    ports = json.dumps([{"name": "http2", "port": 80, "protocol": "TCP", "targetPort": 8088}])
    chart = str(example_charts / "gateway")
    plain("upgrade", "istio-ingressgateway", chart, "--reuse-values", "--set-json", f"service.ports={ports}", "--wait")
    assert [port["targetPort"] for port in cluster.service("istio-ingressgateway")["spec"]["ports"]] == [8088]
    assert drift(mesh) == {}
