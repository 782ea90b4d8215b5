"""What Helm would take with it of Istio's own charts, and uninstall leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

INSTALL = ("install", "--version", "1.24.6", "--hub", "registry.example/istio", "--profile", "default")
GROUPS = "/apis/networking.istio.io/v1/namespaces/default/workloadgroups"


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_workload_groups_survive_an_uninstall(
    istio: Program, cluster: Reader, helm: str, request: pytest.FixtureRequest
) -> None:
    mesh = replace(istio, helm=request.getfixturevalue(helm))
    mesh(*INSTALL)
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
    assert cluster.get(f"{GROUPS}/machines")["metadata"]["uid"] == made["metadata"]["uid"]
    assert "deletionTimestamp" not in cluster.get(crd)["metadata"]
    # what is left is taken on by the next mesh
    mesh(*INSTALL)
    assert mesh("status").data["ready"] is True
    assert cluster.get(f"{GROUPS}/machines")["metadata"]["uid"] == made["metadata"]["uid"]
