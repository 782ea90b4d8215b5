"""An Istio revision that the values give: what plain Helm installs so is installed, adopted, kept and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

GATEWAY = "istio-ingressgateway"
REVISION = "1-20-0"
HUB = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
VALIDATED = f"defaultRevision: {REVISION}\n"


def environment(folder: Path, name: str, mesh: str, **values: str) -> None:
    """Write an environment into the user's folder."""
    (folder / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    place = folder / "values" / "environments" / name
    place.mkdir(parents=True)
    (place / "mesh.yaml").write_text(f"region: kr1\nversion: 1.20.0\n{mesh}")
    for component, text in values.items():
        (place / f"{component}.yaml").write_text(text)


def test_each_way_to_give_a_revision_becomes_ready(istio: Program, cluster: Reader, tmp_path: Path) -> None:
    before = cluster.everything()
    ran = istio("install", "--region", "kr1", "--version", "1.20.0", "--set", f"istiod:revision={REVISION}", code=7)
    assert "no injector serves Istio revision default" in ran.error["message"]
    assert f"--set {GATEWAY}:revision={REVISION}" in ran.error["hint"]
    assert cluster.everything() == before

    own = f"revision: {REVISION}\n"
    environment(tmp_path, "all", "", base=VALIDATED, istiod=own, gateway=own)
    istio("install", "-e", "all")
    assert cluster.images(f"app={GATEWAY}") == {f"{HUB}/proxyv2:1.20.0"}
    status = istio("status", "--exit-code").data
    assert [release["istio_revision"] for release in status["releases"]] == ["", REVISION, REVISION]
    assert istio("plan", "--exit-code").changes == {}
    assert "the values set" in istio("canary", "start", "--to", "1.21.6", code=2).error["message"]
    istio("uninstall", "--yes")
    assert cluster.items("/apis/apps/v1/namespaces/istio-system/deployments") == []

    # the gateway follows the tag, and istiod's release has a name of its own
    names = f"releases: {{istiod: mesh-{REVISION}}}\n"
    environment(tmp_path, "tag", names, base=VALIDATED, istiod=f"{own}revisionTags: [default]\n")
    istio("install", "-e", "tag")
    assert cluster.images(f"app={GATEWAY}") == {f"{HUB}/proxyv2:1.20.0"}
    istio("status", "--exit-code")


def test_such_a_mesh_of_plain_helm_is_adopted_as_it_is(
    istio: Program, cluster: Reader, helm3: str, real_charts: Path
) -> None:
    helm = PlainHelm(helm3, istio.kubeconfig)
    base, istiod, gateway = (str(real_charts / f"{chart}-1.20.0.tgz") for chart in ("base", "istiod", "gateway"))
    helm("install", "istio-base", base, "--create-namespace", "--set", f"defaultRevision={REVISION}")
    helm("install", "istiod", istiod, "--set", f"revision={REVISION},global.hub={HUB}", "--wait")
    helm("install", GATEWAY, gateway, "--set", f"revision={REVISION}", "--wait")
    istio("adopt", "--yes")
    assert istio("plan", "--exit-code").changes == {}
    written = {release["name"]: release["helm_revision"] for release in istio("status", "--exit-code").data["releases"]}
    assert written == {"istio-base": 1, "istiod": 1, GATEWAY: 1}
    istio("install", "--set", "istiod:pilot.traceSampling=7")
    assert cluster.images(f"app={GATEWAY}") == {f"{HUB}/proxyv2:1.20.0"}
    istio("uninstall", "--yes", "--purge")
    assert "istio-system" not in {one["metadata"]["name"] for one in cluster.items("/api/v1/namespaces")}
