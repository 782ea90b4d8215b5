"""Add-ons on a real API server, their pods simulated: no image of an add-on runs here, and no page answers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import yaml

from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader

pytestmark = pytest.mark.cluster

SYSTEM = "istio-system"
RBAC = "rbac.authorization.k8s.io"
GROUP = "monitoring.kiali.io"
CONFIGMAP = f"/api/v1/namespaces/{SYSTEM}/configmaps/kiali"
INTERNAL = "service.beta.kubernetes.io/openstack-internal-load-balancer"


def of_kiali(api_version: str, kind: str, *, namespaced: bool = True, **fields: Any) -> Object:
    namespace = {"namespace": SYSTEM} if namespaced else {}
    labels = {"app": "kiali", "app.kubernetes.io/managed-by": "Helm"}  # so Istio's file has it, though Helm has none
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "kiali", "labels": labels, **namespace},
        **fields,
    }


def pods_of(name: str) -> Object:
    box = {"name": name, "image": f"quay.io/{name}/{name}:v1.76"}
    return {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [box]}},
    }


def kiali() -> list[Object]:
    """The objects of Kiali as Istio 1.8 had them, in the order that kubectl fails on: CRD and dashboard at the end."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "kiali"}
    who = {"kind": "ServiceAccount", "name": "kiali", "namespace": SYSTEM}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"kind": "MonitoringDashboard", "listKind": "MonitoringDashboardList", "plural": "monitoringdashboards"}
    crd = of_kiali(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        namespaced=False,
        spec={
            "group": GROUP,
            "names": {**names, "singular": "monitoringdashboard"},
            "scope": "Namespaced",
            "versions": [version],
        },
    )
    crd["metadata"]["name"] = f"monitoringdashboards.{GROUP}"
    return [
        of_kiali(f"{GROUP}/v1alpha1", "MonitoringDashboard", spec={"title": "Envoy"}),
        of_kiali("apps/v1", "Deployment", spec=pods_of("kiali")),
        of_kiali("v1", "Service", spec={"selector": {"app": "kiali"}, "ports": [{"name": "http", "port": 20001}]}),
        of_kiali("v1", "ServiceAccount"),
        of_kiali("v1", "ConfigMap", data={"config.yaml": "auth:\n  strategy: anonymous\n"}),
        of_kiali(f"{RBAC}/v1", "ClusterRole", namespaced=False, rules=[]),
        of_kiali(f"{RBAC}/v1", "ClusterRoleBinding", namespaced=False, roleRef=ref, subjects=[who]),
        crd,
    ]


def loki() -> list[Object]:
    """The StatefulSet of Loki, without a namespace: kubectl would put it into the context's."""
    spec = {**pods_of("loki"), "serviceName": "loki"}
    return [{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "loki"}, "spec": spec}]


@pytest.fixture
def samples(tmp_path: Path) -> str:
    folder = tmp_path / "samples" / "addons"
    folder.mkdir(parents=True)
    for name, objects in (("kiali", kiali()), ("loki", loki())):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
    return str(folder.parent)


@pytest.fixture
def system(cluster: Reader) -> Reader:
    cluster.post("/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    return cluster


def rows(ran: Any) -> dict[str, Object]:
    return {row["name"]: row for row in ran.data["addons"]}


@contextmanager
def dashboard(mesh: Program) -> Iterator[Popen[str]]:
    process = mesh.start("dashboard", "kiali", "--port", "0", "--no-browser")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: Popen[str], words: str) -> str:
    assert process.stderr is not None
    return next(line for line in process.stderr if words in line)


def test_add_ons_come_at_once_are_exposed_and_go_without_a_trace(mesh: Program, system: Reader, samples: str) -> None:
    before = system.everything()
    mesh("addons", "install", "kiali", "--samples", samples, code=2)  # there is no terminal to ask on
    assert system.everything() == before
    installed = mesh(
        "addons", "install", "kiali", "--samples", samples, "--image-hub", "registry.example.com/istio", "--yes"
    )
    assert installed.data["done"][-1]["message"] == "1 pod is ready"
    assert system.images("app=kiali") == {"registry.example.com/istio/kiali:v1.76"}
    assert system.items(f"/apis/{GROUP}/v1alpha1/namespaces/{SYSTEM}/monitoringdashboards")
    again = mesh(
        "addons", "install", "kiali", "--samples", samples, "--image-hub", "registry.example.com/istio", "--yes"
    )
    assert again.changes == {}
    row = rows(mesh("addons", "status"))["kiali"]
    assert (row["owner"], row["state"]) == ("nksmesh", "ready")

    refused = mesh("addons", "expose", "kiali", "--load-balancer", "--public", "--yes", code=7).error
    assert "auth.strategy is anonymous" in refused["message"]
    exposed = mesh("addons", "expose", "kiali", "--load-balancer", "--yes").data
    service = system.service("kiali-load-balancer")
    assert service["metadata"]["annotations"][INTERNAL] == "true"
    (address,) = (entry["ip"] for entry in service["status"]["loadBalancer"]["ingress"])
    assert exposed["url"] == f"http://{address}:20001/kiali"
    text = "auth:\n  strategy: token\n"
    system.apply(CONFIGMAP, of_kiali("v1", "ConfigMap", data={"config.yaml": text}), "kubectl-edit")
    public = mesh("addons", "expose", "kiali", "--load-balancer", "--public", "--yes").data
    assert {finding["id"] for finding in public["findings"]} == {"balancer.new-address"}
    assert INTERNAL not in system.service("kiali-load-balancer")["metadata"].get("annotations", {})

    with dashboard(mesh) as process:
        (pod,) = system.pods("app=kiali")
        told(process, f" leads to pod {pod['metadata']['name']}")
        system.delete(f"/api/v1/namespaces/{SYSTEM}/pods/{pod['metadata']['name']}")
        told(process, " leads to pod ")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0

    removed = mesh("addons", "remove", "kiali", "loki", "--yes")
    assert set(removed.actions.values()) == {"remove"}
    system.until(f"/api/v1/namespaces/{SYSTEM}/pods", lambda found: not found)
    system.until("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", lambda found: not found)
    assert system.everything() == before


def test_an_add_on_of_kubectl_is_left_alone_and_volumes_stay(mesh: Program, system: Reader, samples: str) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    system.post(
        f"/api/v1/namespaces/{SYSTEM}/persistentvolumeclaims",
        {"metadata": {"name": "storage-loki-0"}, "spec": claim},  # a sandbox has nothing that makes volumes
    )
    mesh("addons", "install", "loki", "--samples", samples, "--yes")
    assert rows(mesh("addons", "status"))["loki"]["state"] == "ready"
    removed = mesh("addons", "remove", "loki", "--yes")
    (finding,) = removed.data["findings"]
    assert (finding["id"], "storage-loki-0" in finding["message"]) == ("addons.kept-volumes", True)

    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/kiali"
    system.apply(path, of_kiali("apps/v1", "Deployment", spec=pods_of("kiali")), "kubectl")
    mine = system.get(path)
    refused = mesh("addons", "install", "kiali", "--samples", samples, "--yes", code=4).error
    assert f"Deployment {SYSTEM}/kiali belongs to kubectl" in refused["message"]
    assert mesh("addons", "remove", "kiali", "--yes").actions == {}
    assert system.get(path)["metadata"]["uid"] == mine["metadata"]["uid"]
