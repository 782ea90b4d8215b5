"""The guide walked on real proxies from its first step to its last, and taken back object by object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.adapters.registry.artifacts import artifact
from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.data_plane.bookinfo import SAMPLES, Bookinfo
from tests.real_istioctl import release_archive

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

STEPS = 11
BLACK_STARS = "text-black-500"
"""What reviews v2 has in the page; v1 has no stars."""


@pytest.fixture
def sandbox(plane: Sandbox) -> Sandbox:
    """Give the sandbox with a data plane."""
    return plane


def test_each_step_is_proved_on_real_proxies_and_nothing_is_left(
    sandbox: Sandbox, istio: Program, cluster: Reader, tmp_path: Path
) -> None:
    cache = {"NKSMESH_CACHE": str(tmp_path / "cache")}
    mesh = replace(istio, waits=300.0, environment={**istio.environment, **cache})
    before = cluster.everything()
    packed = release_archive(tmp_path, "1.30.2", SAMPLES)
    with artifact({packed.name: packed.read_bytes()}) as host:
        walked = mesh("guide", "--hub", f"{host}/istio", "--version", "1.30.2", "--yes").data
    assert [step["proved"] for step in walked["steps"]] == [True] * STEPS
    assert walked["remaining"] == []
    (answered,) = [step["result"]["answer"] for step in walked["steps"] if "gateway url" in step["command"]]
    assert (answered["status"], answered["title"]) == (200, "Simple Bookstore App")

    (verified,) = [step["result"] for step in walked["steps"] if "sample verify" in step["command"]]
    assert "istioctl.analyzer-message" in {check["id"] for check in verified["checks"]}
    (analyzed,) = [step["proof"] for step in walked["steps"] if "istioctl analyze" in step["command"]]
    assert "finds no error" in analyzed

    proxies = mesh("istioctl", "proxy-status").data["proxies"]
    apps = {proxy["name"].partition("-v1")[0]: proxy for proxy in proxies}
    assert {"productpage", "details", "ratings"} <= set(apps)
    assert len(proxies) == 8  # six of Bookinfo, and two gateways
    for proxy in proxies:
        assert proxy["types"]["CDS"] == "SYNCED", proxy
        assert {*proxy["types"].values()} <= {"SYNCED", "NOT SENT", "IGNORED"}, proxy
        assert proxy["istiod"].startswith("istiod-")

    pages = [Bookinfo(sandbox, cluster, mesh).page() for _ in range(20)]
    assert all(BLACK_STARS in page for page in pages)  # the last split is 0 to 100

    undone = mesh("guide", "--undo", "--yes").data
    assert [step["proved"] for step in undone["steps"]] == [True] * 4
    assert cluster.everything() == before
