"""The CRDs of a chart's crds/ folder: applied server-side by us, over anybody's fields, and said before."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader

pytestmark = pytest.mark.cluster

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GATEWAYS = f"{CRDS}/gateways.networking.istio.io"


def managers(item: Object) -> set[tuple[str, str]]:
    """Name who holds fields of an object, and how they came to."""
    return {
        (entry["manager"], entry["operation"])
        for entry in item["metadata"]["managedFields"]
        if entry.get("subresource") != "status"
    }


def test_crds_are_applied_server_side_and_conflicts_are_shown_before(mesh: Program, cluster: Reader) -> None:
    # an older CRD, as somebody's script left it
    (document,) = (mesh_crd for mesh_crd in crds_of(mesh) if mesh_crd["metadata"]["name"].startswith("gateways."))
    wanted = list(document["spec"]["names"].get("shortNames", []))
    document["spec"]["names"]["shortNames"] = ["older"]
    cluster.post(f"{CRDS}?fieldManager=a-script", document)

    planned = mesh("plan", "--region", "kr1")
    assert planned.reasons["CRDs"] == [
        "2 of 3 do not exist",
        "1 of 3 differs from the chart's",
        "takes ownership of fields from a-script",
    ]
    assert cluster.get(GATEWAYS)["spec"]["names"]["shortNames"] == ["older"]

    mesh("install", "--region", "kr1")
    for item in cluster.items(CRDS):
        assert ("nksmesh", "Apply") in managers(item), item["metadata"]["name"]
    assert cluster.get(GATEWAYS)["spec"]["names"].get("shortNames", []) == wanted
    assert mesh("plan").actions["CRDs"] == "keep"


def test_helm_does_not_own_them_and_an_uninstall_by_helm_leaves_them(
    mesh: Program, cluster: Reader, helm3: str
) -> None:
    mesh("install", "--region", "kr1")
    before = {one["metadata"]["name"] for one in cluster.items(CRDS)}
    assert len(before) == 3
    assert "CustomResourceDefinition" not in cluster.helm_release("istio-base")["manifest"]
    subprocess.run(
        [helm3, "uninstall", "istio-base", "-n", "istio-system", "--kubeconfig", str(mesh.kubeconfig)],
        check=True,
        capture_output=True,
    )
    assert {one["metadata"]["name"] for one in cluster.items(CRDS)} == before


def crds_of(mesh: Program) -> list[Object]:
    """The CRDs as the chart has them."""
    ran = mesh("template", "--region", "kr1", output="")
    rendered = list(yaml.safe_load_all(ran.stdout))
    return [one for one in rendered if one and one["kind"] == "CustomResourceDefinition"]
