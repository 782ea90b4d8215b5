"""Gateways that are DaemonSets, the other kind that the chart takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
KR2 = "6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio"
GATEWAY = "istio-ingressgateway"
RESTART = f"restart {GATEWAY}"
ENOUGH = 20.0
"""Seconds, of the five minutes that a component is given, after which an early end is none."""


def test_a_daemon_set_is_followed_shown_restarted_and_rolled_back(
    istio: Program, cluster: Reader, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("kind: DaemonSet\nservice: {type: NodePort}\nautoscaling: {enabled: false}\n")
    own = "-f", f"gateway={file}"
    first = istio("install", "--region", "kr1", "--version", "1.19.0", *own)
    (proved,) = [one["message"] for one in first.data["done"] if one["name"] == GATEWAY]
    assert f"{KR1}/proxyv2:1.19.0" in proved
    status = istio("status", "--exit-code").data
    (gateway,) = [release for release in status["releases"] if release["name"] == GATEWAY]
    assert gateway["ready"]
    assert gateway["images"] == [f"{KR1}/proxyv2:1.19.0"]

    planned = istio("plan", "--region", "kr2", *own)
    assert planned.actions[RESTART] == "restart"
    istio("install", "--region", "kr2", *own)
    assert cluster.images(f"app={GATEWAY}") == {f"{KR2}/proxyv2:1.19.0"}
    assert istio("plan", "--exit-code").changes == {}

    istio("upgrade", "--to", "1.20.0")
    assert cluster.images(f"app={GATEWAY}") == {f"{KR2}/proxyv2:1.20.0"}
    istio("rollback", "--yes")
    assert cluster.images(f"app={GATEWAY}") == {f"{KR2}/proxyv2:1.19.0"}
    istio("status", "--exit-code")


def test_pods_of_a_daemon_set_that_are_forbidden_end_the_wait_at_once(
    istio: Program, cluster: Reader, tmp_path: Path
) -> None:
    level = "pod-security.kubernetes.io/enforce"
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "edge", "labels": {level: "restricted"}}})
    (tmp_path / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    environment = tmp_path / "values" / "environments" / "edge"
    environment.mkdir(parents=True)
    (environment / "mesh.yaml").write_text(
        "region: kr1\nversion: 1.20.0\ngateways: [{name: edge, namespace: edge, values: {kind: DaemonSet}}]\n"
    )
    secured = istio("install", "-e", "edge", "--timeout", "5m", code=6)
    assert secured.seconds < ENOUGH, str(secured)
    assert "edge cannot become ready: DaemonSet edge/edge: FailedCreate" in secured.error["message"]
    assert 'violates PodSecurity "restricted:latest"' in secured.error["detail"]
    assert f"kubectl label namespace edge {level}=privileged --overwrite" in secured.error["hint"]

    # what was refused before a run is tried again by it, once: this time it is refused for another reason
    cluster.merge("/api/v1/namespaces/edge", {"metadata": {"labels": {level: "privileged"}}})
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    path = "/api/v1/namespaces/edge/resourcequotas"
    cluster.post(path, quota)
    cluster.until(path, lambda found: bool(found[0].get("status", {}).get("hard")))
    again = istio("install", "-e", "edge", "--timeout", "5m", code=6)
    assert again.seconds < ENOUGH, str(again)
    assert "DaemonSet edge/edge: FailedCreate" in again.error["message"]
    assert "exceeded quota: none" in again.error["detail"]
    assert "quota" in again.error["hint"]
    cluster.delete(f"{path}/none")
    istio("install", "-e", "edge", "--timeout", "5m")
    istio("status", "--exit-code")
