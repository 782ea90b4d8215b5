"""The agent, seen from the cluster, with Istio's real charts on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nksmesh.domain.common.errors import RefusedError
from nksmesh.sandbox.failures import merge
from nksmesh.sandbox.sandbox import Sandbox
from tests.sandbox.objects import make_pod, pod, until

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

CHARTS = os.environ.get("NKSMESH_TEST_CHARTS", "")
VERSION = "1.20.0"
HUB = "registry.example/container_service/istio"
ISTIO_SYSTEM = "/api/v1/namespaces/istio-system"


@pytest.fixture
def helm(sandbox: Sandbox) -> Any:
    program = shutil.which("helm")
    if not CHARTS or not program:
        pytest.skip("NKSMESH_TEST_CHARTS names no folder of Istio's charts, or there is no helm on PATH")

    def run(release: str, chart: str, *options: str) -> None:
        subprocess.run(
            [
                *(program, "upgrade", "--install", release, str(Path(CHARTS) / f"{chart}-{VERSION}.tgz")),
                *("--namespace=istio-system", "--create-namespace", *options),
            ],
            env={**os.environ, "KUBECONFIG": str(sandbox.kubeconfig)},
            check=True,
            capture_output=True,
        )

    return run


async def test_istio_installs_injects_validates_and_gets_an_address(sandbox: Sandbox, helm: Any) -> None:
    helm("istio-base", "base", "--wait", "--timeout=60s")
    helm("istiod", "istiod", "--wait", "--timeout=60s", f"--set=global.hub={HUB}")
    helm("istio-ingressgateway", "gateway", "--wait", "--timeout=60s")
    async with sandbox.api() as api:
        gateways = await api.request("GET", f"{ISTIO_SYSTEM}/pods", query={"labelSelector": "istio=ingressgateway"})
        images = [c["image"] for item in gateways["items"] for c in item["spec"]["containers"]]
        assert images == [f"{HUB}/proxyv2:{VERSION}"]

        service = await api.request("GET", f"{ISTIO_SYSTEM}/services/istio-ingressgateway")
        assert service["status"]["loadBalancer"]["ingress"][0]["ip"].startswith("203.0.113.")

        root = await api.request("GET", f"{ISTIO_SYSTEM}/configmaps/istio-ca-root-cert")
        assert root["data"]["root-cert.pem"].startswith("-----BEGIN CERTIFICATE-----")

        probe = await make_pod(api, pod("probe", labels={"sidecar.istio.io/inject": "true"}), dry_run=True)
        assert [c["image"] for c in probe["spec"]["containers"]] == ["example/app:1", images[0]]
        assert [c["name"] for c in probe["spec"]["initContainers"]] == ["istio-init"]

        validators = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        await until(
            api,
            validators,
            "istiod-default-validator",
            lambda item: item["webhooks"][0]["failurePolicy"] == "Fail",
        )
        gateway = {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "Gateway",
            "metadata": {"name": "empty"},
            "spec": {"selector": {"istio": "ingressgateway"}},
        }
        with pytest.raises(RefusedError) as refused:
            await api.request("POST", "/apis/networking.istio.io/v1beta1/namespaces/default/gateways", body=gateway)
        assert "at least one server" in refused.value.detail


async def test_without_a_ready_istiod_the_webhook_is_refused(sandbox: Sandbox, helm: Any) -> None:
    helm("istio-base", "base")
    helm("istiod", "istiod", "--wait", "--timeout=60s", f"--set=global.hub={HUB}")
    path = "/apis/apps/v1/namespaces/istio-system/deployments/istiod"
    async with sandbox.api() as api:
        # the autoscaler would bring istiod back
        await api.request("DELETE", "/apis/autoscaling/v2/namespaces/istio-system/horizontalpodautoscalers/istiod")
        await merge(api, path, {"spec": {"replicas": 0}})
        deployments = path.rpartition("/")[0]
        await until(api, deployments, "istiod", lambda item: not item["status"].get("availableReplicas"))
        labelled = pod("probe", labels={"sidecar.istio.io/inject": "true"})
        with pytest.raises(RefusedError) as refused:
            await make_pod(api, labelled, dry_run=True)
        assert "connection refused" in refused.value.detail
        await merge(api, path, {"spec": {"replicas": 1}})
        await until(api, deployments, "istiod", lambda item: item["status"].get("availableReplicas") == 1)
