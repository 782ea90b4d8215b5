"""What is somebody else's: objects of another tool, policies, quotas, a gateway that nobody injected."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, PROXY, assert_complete, difference, statuses
from tests.cluster.faults.runs import started
from tests.cluster.faults.webhooks import policy
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

NAMESPACES = "/api/v1/namespaces"
SYSTEM = f"{NAMESPACES}/istio-system"
POLICY = "pods are admitted by the platform team alone"


def make_namespace(cluster: Reader, **labels: str) -> None:
    cluster.post(
        NAMESPACES,
        {"metadata": {"name": "istio-system", "labels": {k.replace("_", "-"): v for k, v in labels.items()}}},
    )


def test_a_mesh_of_another_tool_is_left_alone(mesh: Program, cluster: Reader) -> None:
    make_namespace(cluster)
    istioctl = {"install.operator.istio.io/owning-resource": "installed-state", "operator.istio.io/component": "Pilot"}
    cluster.post(f"{SYSTEM}/serviceaccounts", {"metadata": {"name": "istiod", "labels": istioctl}})
    cluster.post(f"{SYSTEM}/configmaps", {"metadata": {"name": "istio", "labels": istioctl}, "data": {"mesh": ""}})
    other = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "istio-system"},
    }
    cluster.post(
        f"{SYSTEM}/services",
        {"metadata": {"name": "istio-ingressgateway", **other}, "spec": {"ports": [{"port": 80}]}},
    )
    before = cluster.everything()
    for command in ("install", "plan"):
        ran = mesh(command, "--region", "kr1", code=4)
        assert "3 objects of this mesh already exist" in ran.error["message"]
        assert "nothing was changed" in ran.error["message"]
        lines = ran.error["detail"].splitlines()
        assert sum("istioctl" in line for line in lines) == 2
        (service,) = (line for line in lines if line.startswith("Service "))
        assert "istio-ingressgateway" in service
        assert "edge" in service
        assert ran.error["hint"]
    assert difference(before, cluster.everything()) == {}


def test_a_policy_that_denies_the_probe_pod_alone(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    def verdict(pod: dict[str, Any]) -> str:
        return "probes are not wanted here" if pod["metadata"].get("name") == "nksmesh-injection-probe" else ""

    with policy(cluster, tmp_path, verdict) as engine:
        ran = mesh("install", "--region", "kr1")
    assert "nksmesh-injection-probe" in engine.seen
    (warning,) = ran.data["warnings"]
    assert "admission webhook pods.policy.example rejects the dry-run pod" in warning
    assert "probes are not wanted here" in warning
    assert "injection webhook: warning: " in ran.stderr
    assert_complete(cluster)


def test_a_policy_that_has_no_dry_run(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    def verdict(review: dict[str, Any]) -> str:
        return "dry run is not supported" if review["metadata"].get("name") == "nksmesh-injection-probe" else ""

    with policy(cluster, tmp_path, verdict, side_effects="NoneOnDryRun"):
        ran = mesh("install", "--region", "kr1")
    assert "pods.policy.example rejects the dry-run pod" in str(ran.data["warnings"])
    assert_complete(cluster)


def test_a_policy_that_denies_the_gateways_pods(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    def verdict(pod: dict[str, Any]) -> str:
        return POLICY if pod["metadata"].get("labels", {}).get("istio") == "ingressgateway" else ""

    with policy(cluster, tmp_path, verdict):
        ran = mesh("install", "--region", "kr1", code=6)
        assert ran.seconds < 20
        assert "ReplicaSet istio-system/istio-ingressgateway-" in ran.error["message"]
        assert "cannot become ready" in ran.error["message"]
        assert POLICY in ran.error["detail"]
        assert "pods.policy.example" in ran.error["detail"]
        assert "policy" in ran.error["hint"]
    again = mesh("install", "--timeout", "60s")
    assert again.changes == {}
    assert_complete(cluster)


def test_a_quota_that_is_used_up(mesh: Program, cluster: Reader) -> None:
    make_namespace(cluster)
    quotas = f"{SYSTEM}/resourcequotas"
    cluster.post(quotas, {"metadata": {"name": "two-pods"}, "spec": {"hard": {"pods": "1"}}})
    ran = mesh("install", "--region", "kr1", code=6)
    assert ran.seconds < 20
    assert "cannot become ready" in ran.error["message"]
    assert "exceeded quota: two-pods" in ran.error["detail"]
    assert "quota" in ran.error["hint"]
    assert "istiod" in statuses(cluster)


def stays_auto(pods: list[dict[str, Any]]) -> bool:
    """Tell whether there is one pod that is not ending, and that nobody injected."""
    here = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return [container["image"] for pod in here for container in pod["spec"]["containers"]] == ["auto"]


@pytest.mark.parametrize("how", ["before istiod", "turned away"])
def test_a_gateway_pod_that_was_admitted_without_injection(
    mesh: Program, cluster: Reader, sandbox: Sandbox, helm3: str, example_charts: Path, how: str
) -> None:
    """Its image stays ``auto`` for ever: it is deleted, and what comes instead is injected."""
    if how == "before istiod":
        make_namespace(cluster)
        command = [helm3, "install", "istio-ingressgateway", str(example_charts / "gateway"), "-n", "istio-system"]
        subprocess.run([*command, "--kubeconfig", str(sandbox.kubeconfig)], check=True, capture_output=True, timeout=60)
    else:
        mesh("install", "--region", "kr1")
        cluster.merge(SYSTEM, {"metadata": {"labels": {"istio-injection": "disabled"}}})
        for pod in cluster.pods(GATEWAY):
            cluster.delete(f"{SYSTEM}/pods/{pod['metadata']['name']}")
        cluster.until(f"{SYSTEM}/pods", stays_auto, labelSelector=GATEWAY)
        cluster.merge(SYSTEM, {"metadata": {"labels": {"istio-injection": None}}})
    cluster.until(f"{SYSTEM}/pods", stays_auto, labelSelector=GATEWAY)
    (stuck,) = cluster.pods(GATEWAY)
    ran = mesh("install", "--region", "kr1")
    assert ran.seconds < 20
    assert cluster.images(GATEWAY) == {PROXY}
    assert_complete(cluster)
    assert stuck["metadata"]["name"] in ran.stdout, str(ran)
    assert "auto" in str(ran.data["warnings"]) + str(ran.reasons), str(ran)
    assert mesh("install").changes == {}


def test_an_address_that_is_not_given_is_a_warning(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.up(load_balancer=False))
    try:
        ran = mesh("install", "--region", "kr1", "--address-timeout", "1s")
        (warning,) = ran.data["warnings"]
        assert "Service istio-system/istio-ingressgateway has no address yet" in warning
        assert "istio-ingressgateway: waiting for an address for Service istio-ingressgateway" in ran.stderr
        assert ran.data["addresses"] == {}
        assert_complete(cluster)
        private = mesh("install", "--region", "kr1", "--network", "private")
        assert "waiting for an address" not in private.stderr
        assert "has no address yet" in str(private.data["warnings"])
        assert private.changes
    finally:
        asyncio.run(sandbox.up(load_balancer=True))


def test_events_of_a_service_without_address_are_shown(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.up(load_balancer=False))
    try:
        with started(mesh, "install", "--region", "kr1", "--address-timeout", "4s") as run:
            run.until("waiting for an address for Service")
            service = cluster.service("istio-ingressgateway")
            cluster.post(
                f"{SYSTEM}/events",
                {
                    "metadata": {"name": "no-subnet"},
                    "type": "Warning",
                    "reason": "SyncLoadBalancerFailed",
                    "message": "the subnet has no free address",
                    "involvedObject": {
                        "kind": "Service",
                        "namespace": "istio-system",
                        "name": "istio-ingressgateway",
                        "uid": service["metadata"]["uid"],
                    },
                },
            )
            ran = run.end(0)
        assert "the subnet has no free address" in str(ran.data["warnings"])
    finally:
        asyncio.run(sandbox.up(load_balancer=True))
