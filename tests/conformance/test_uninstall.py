"""What Helm would take with it of Istio's own charts, and uninstall leaves; and what it must not leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

INSTALL = ("install", "--version", "1.24.6", "--hub", "registry.example/istio", "--profile", "default")
GROUPS = "/apis/networking.istio.io/v1/namespaces/default/workloadgroups"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
GATEWAYS = "/apis/networking.istio.io/v1/namespaces/default/gateways"
GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
}


def _by_canary(mesh: Program, cluster: Reader, *, promote: bool) -> None:
    """Come to base of the same version by a canary: one that is on, or one that has become the mesh's own istiod."""
    mesh(*("1.22.8" if one == "1.24.6" else one for one in INSTALL))
    mesh("canary", "start", "--to", "1.24.6")
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}})
    if promote:
        mesh("canary", "promote", "--yes")
    else:
        mesh("canary", "move", "shop", "--yes")
        assert "canary abort" in mesh("uninstall", "--revision", "1-24-6", "--yes", code=2).error["hint"]


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_workload_groups_survive_an_uninstall_and_nothing_is_left_that_blocks(
    istio: Program, cluster: Reader, helm: str, request: pytest.FixtureRequest
) -> None:
    mesh = replace(istio, helm=request.getfixturevalue(helm), waits=240)
    _by_canary(mesh, cluster, promote=helm == "helm4")
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/workloadgroups.networking.istio.io"
    assert "helm.sh/resource-policy" not in cluster.get(crd)["metadata"]["annotations"]
    made = cluster.post(
        GROUPS,
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadGroup",
            "metadata": {"name": "machines"},
            "spec": {"template": {"serviceAccount": "default"}},
        },
    )
    ran = mesh("uninstall", "--yes")
    assert any("workloadgroups.networking.istio.io (1 workloadgroups)" in one for one in ran.data["left"])
    assert cluster.helm_revisions() == {}
    assert cluster.get("/api/v1/namespaces/shop")["metadata"]["labels"]["istio-injection"] == "enabled"
    # no validator is left to refuse an Istio object, neither base's nor that of an Istio revision
    assert cluster.items(f"{WEBHOOKS}/validatingwebhookconfigurations") == []
    assert cluster.items(f"{WEBHOOKS}/mutatingwebhookconfigurations") == []
    cluster.post(GATEWAYS, {**GATEWAY, "metadata": {"name": "later", "labels": {"istio.io/rev": "1-24-6"}}})
    assert cluster.get(f"{GROUPS}/machines")["metadata"]["uid"] == made["metadata"]["uid"]
    assert "deletionTimestamp" not in cluster.get(crd)["metadata"]
    # what is left is taken on by the next mesh
    mesh(*INSTALL)
    assert mesh("status").data["ready"] is True
    assert cluster.get(f"{GROUPS}/machines")["metadata"]["uid"] == made["metadata"]["uid"]
