"""``nksmesh check`` on a real API server: before an install, after it, and what an install is held to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

HUB = ("--hub", "registry.invalid/istio", "--version", "1.20.0")
EBPF = {
    "metadata": {"name": "calico-node", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": {"app": "calico"}},
        "template": {
            "metadata": {"labels": {"app": "calico"}},
            "spec": {
                "nodeSelector": {"no": "node"},
                "containers": [
                    {"name": "x", "image": "calico", "env": [{"name": "FELIX_BPFENABLED", "value": "true"}]}
                ],
            },
        },
    },
}


def found(ran: Ran) -> dict[str, list[str]]:
    """Return the results' statuses, by id."""
    results: dict[str, list[str]] = {}
    for group in ran.data["groups"]:
        for result in group["results"]:
            results.setdefault(result["id"], []).append(result["status"])
    return results


def test_an_empty_cluster_before_an_install(istio: Program, cluster: Reader) -> None:
    before = cluster.everything()
    ran = istio("check", "--pre", *HUB, "--charts", istio.charts)
    results = found(ran)
    assert results["mesh.plan"] == results["cluster.permissions"] == results["cluster.third-party-jwt"] == ["ok"]
    assert results["images.unreachable"] == ["warning"]
    assert results["cluster.disruption-budget"] == ["warning"]
    assert not any(name.startswith("after-install.") for name in results)
    assert cluster.everything() == before
    offline = istio("check", "--pre", *HUB, "--charts", istio.charts, "--skip", "registry")
    assert set(found(offline)) == set(results) - {"images.unreachable"}
    only = istio("check", "--pre", *HUB, "--charts", istio.charts, "--only", "network", "--only", "cluster.capacity")
    assert {name.partition(".")[0] for name in found(only)} == {"network", "cluster"}
    assert istio("check", "--only", "nonsense", code=2).error["message"] == "there is no group of checks 'nonsense'"
    assert "Did you mean 'cluster.capacity'?" in istio("check", "--only", "cluster.capcity", code=2).error["hint"]


def test_a_cluster_that_cannot_be_planned_for_says_why(istio: Program, cluster: Reader) -> None:
    del cluster
    ran = istio("check", "--pre", "--hub", "registry.invalid/istio", "--version", "1.10.0", code=7)
    assert found(ran)["mesh.plan"] == ["failure"]


def test_an_install_is_held_to_the_checks_that_concern_it(istio: Program, cluster: Reader) -> None:
    cluster.post("/apis/apps/v1/namespaces/kube-system/daemonsets", EBPF)
    before = cluster.everything()
    unknown = istio("install", *HUB, "--skip-check", "network.calico-epf", code=2).error
    assert "Did you mean 'network.calico-ebpf'?" in unknown["hint"]
    refused = istio("install", *HUB, code=7).error
    assert "Calico runs in eBPF mode" in refused["message"]
    assert "--skip-check network.calico-ebpf" in refused["hint"]
    assert {ref: text for ref, text in cluster.everything().items() if ref in before} == before
    istio("install", *HUB, "--skip-check", "network.calico-ebpf")


def test_who_may_not_write_learns_it_before_the_first_write(istio: Program, cluster: Reader) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    reads = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    cluster.post(f"{rbac}/clusterroles", {"metadata": {"name": "reads"}, "rules": [reads]})
    kim = {"kind": "User", "name": "kim", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"}
    cluster.post(f"{rbac}/clusterrolebindings", {"metadata": {"name": "reads"}, "roleRef": role, "subjects": [kim]})
    before = cluster.everything()
    config = yaml.safe_load(istio.kubeconfig.read_text())
    for entry in config["users"]:
        entry["user"]["as"] = "kim"
    limited = replace(istio, kubeconfig=istio.folder / "kim.yaml")
    limited.kubeconfig.write_text(yaml.safe_dump(config))
    results = found(limited("check", "--pre", *HUB, "--charts", istio.charts, "--skip", "registry", code=7))
    assert results["cluster.permissions"] == ["failure"]
    refused = limited("install", *HUB, code=7).error
    assert "may not create or patch Secrets in istio-system, " in refused["message"]
    assert cluster.everything() == before


def test_a_mesh_that_works_and_one_that_does_not(istio: Program, cluster: Reader) -> None:
    istio("install", *HUB)
    well = found(istio("check", "--skip", "registry", "--charts", istio.charts))
    assert {name: statuses for name, statuses in well.items() if name.startswith("after-install.")} == {
        "after-install.ready": ["ok"],
        "after-install.webhook-trust": ["ok"] * len(well["after-install.webhook-trust"]),
        "after-install.validation": well["after-install.validation"],
        "after-install.proxies": ["ok"],
        "after-install.root-certificate": ["ok"],
    }
    injectors = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    dead: dict[str, Any] = {
        "metadata": {"name": "istio-sidecar-injector-gone", "labels": {"istio.io/rev": "gone"}},
        "webhooks": [
            {
                "name": "rev.namespace.sidecar-injector.istio.io",
                "clientConfig": {"service": {"namespace": "istio-system", "name": "istiod-gone", "path": "/inject"}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": {"matchLabels": {"nothing": "has"}},
            }
        ],
    }
    cluster.post(injectors, dead)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"istio-injection": "true"}}})
    ill = found(istio("check", "--skip", "registry", "--charts", istio.charts, code=7))
    assert ill["mesh.dead-webhook"] == ["failure"]
    assert ill["after-install.webhook-trust"] == ["failure"]
    assert ill["namespaces.injection-labels"] == ["warning"]
