"""The charts that come with the data plane's istiod: packaged, pinned and installed without any network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import ISTIO, ISTIO_VERSION
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program

pytestmark = [pytest.mark.cluster, pytest.mark.conformance, pytest.mark.kubernetes("1.34")]

HUB = "registry.example.com/mirror/istio"


@pytest.fixture
def istio(sandbox: Sandbox, tmp_path: Path) -> Program:
    if not ISTIO.built:
        pytest.skip("Istio's charts are not in the cache: run nksmesh sandbox build --data-plane")
    return Program(kubeconfig=sandbox.kubeconfig, folder=tmp_path, charts=str(tmp_path / "charts"))


def test_a_mesh_of_the_modules_own_charts_becomes_ready(istio: Program) -> None:
    istio("init", ".")
    written = istio("sandbox", "charts", istio.charts, "--samples", charts="").data
    assert written["version"] == ISTIO_VERSION
    assert (Path(written["samples"]) / "bookinfo" / "platform" / "kube" / "bookinfo.yaml").is_file()
    locked = istio("charts", "lock", ISTIO_VERSION, "--charts", istio.charts).data
    assert {row["version"] for row in locked["charts"]} >= {ISTIO_VERSION}

    # a proxy that answers nothing: whatever goes to another host than the cluster would fail
    offline = replace(istio, environment={"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"})
    ran = offline("install", "--version", ISTIO_VERSION, "--hub", HUB, "--locked", "--no-check-images")
    assert ran.data["proxy_image"] == f"{HUB}/proxyv2:{ISTIO_VERSION}"
    assert "is not among the versions that nksmesh is tested with" in str(ran.data["findings"])
    status = istio("status").data
    assert (status["ready"], status["images_outside_hub"]) == (True, [])
    assert {release["chart_version"] for release in status["releases"]} == {ISTIO_VERSION}
    assert istio("install").changes == {}
    assert istio("drift", "--exit-code").data["drift"] == []
