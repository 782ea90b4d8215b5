"""Releases made by hand with Helm, under any names: described, recorded, and gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader, Ref

pytestmark = pytest.mark.cluster

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
NAMES = {"base": "base", "mesh": "istiod", "edge": "gateway"}


def not_ours(everything: dict[Ref, str]) -> dict[Ref, str]:
    return {ref: one for ref, one in everything.items() if not ref.name.startswith("nksmesh")}


def test_releases_of_helm_4_with_values_of_their_own(
    mesh: Program, cluster: Reader, helm4: str, example_charts: Path
) -> None:
    mesh = replace(mesh, helm=helm4)
    nothing = mesh("adopt", "--yes", code=2).error
    assert "no Helm release of the chart base" in nothing["message"]
    assert "--from istioctl" in nothing["hint"]
    assert "no istiod of istioctl was found" in mesh("adopt", "--from", "istioctl", "--yes", code=2).error["message"]

    helm = PlainHelm(helm4, mesh.kubeconfig)
    edge = replace(helm, namespace="edge")
    helm("install", "base", str(example_charts / "base"), "--create-namespace")
    pinned = f"global.hub={KR1},global.proxy.image={KR1}/proxyv2:1.20.0-pinned"
    istiod = str(example_charts / "istiod")
    helm("install", "mesh", istiod, "--set", f"{pinned},pilot.traceSampling=42", "--wait")
    edge(
        "install",
        "edge",
        str(example_charts / "gateway"),
        "--create-namespace",
        "--set",
        "service.type=NodePort",
        "--wait",
    )
    before = cluster.everything()

    # without charts it is described all the same, and says so
    described = mesh("adopt", "--dry-run", charts=str(mesh.folder / "none")).data
    assert any("charts are not available" in words for words in described["warnings"])
    refused = mesh("adopt", "--yes", "--region", "kr2", code=2).error
    assert "--region kr2 contradicts what is installed" in refused["message"]
    assert "change a mesh" in mesh("adopt", "--yes", "--set", "istiod:a=b", code=2).error["message"]

    # before that, its istiod of another name is nobody's to write over, nor to pass by
    assert "Run nksmesh adopt" in mesh("install", "--region", "kr1", code=4).error["hint"]
    assert "Run nksmesh adopt" in mesh("upgrade", "--to", "1.20.0", "--region", "kr1", code=2).error["hint"]

    mesh("init", "meshes")
    adopted = mesh("adopt", "--yes", "--dir", "meshes", "--write-env", "prod").data
    releases = {release["name"]: release for release in adopted["releases"]}
    assert {name: release["component"] for name, release in releases.items()} == NAMES
    assert releases["mesh"]["kept"] == ["global.proxy.image", "pilot.traceSampling"]
    assert releases["mesh"]["pins"] == ["global.proxy.image"]
    assert "global.tag" in releases["mesh"]["added"]
    assert releases["edge"]["kept"] == ["service.type"]
    assert (adopted["region"], adopted["hub"]) == ("kr1", KR1)
    assert any("global.proxy.image is pinned" in words for words in adopted["warnings"])
    assert set(adopted["files"]) == {f"values/environments/prod/{name}.yaml" for name in ("mesh", "istiod", "edge")}
    assert not_ours(cluster.everything()) == not_ours(before)
    assert mesh("plan", "--exit-code").changes == {}
    assert mesh("plan", "--exit-code", "--dir", "meshes", "-e", "prod").changes == {}
    # what was kept holds on below what is given now
    moved = mesh("install", "--set", "istiod:pilot.traceSampling=7")
    assert set(moved.changes) == {"mesh"}
    stored = cluster.helm_release("mesh", 2)["config"]
    assert (stored["pilot"]["traceSampling"], stored["global"]["tag"]) == (7, "1.20.0")
    assert stored["global"]["proxy"]["image"].endswith("-pinned")
    assert mesh("plan", "--exit-code").changes == {}
