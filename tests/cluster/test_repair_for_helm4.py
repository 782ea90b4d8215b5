"""What a repair takes out of a list leaves nothing in Helm 4's way: its next upgrade changes the same fields."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader

pytestmark = pytest.mark.cluster

NAMESPACE = "/api/v1/namespaces/istio-system"


def test_helm_4_upgrades_what_was_put_back(mesh: Program, cluster: Reader, helm4: str, example_charts: Path) -> None:
    mesh = replace(mesh, helm=helm4)
    mesh("install", "--region", "kr1")
    (container,) = cluster.deployment("istiod")["spec"]["template"]["spec"]["containers"]
    image = container["image"]
    container |= {"image": "registry.example.com/pilot:mine"}
    container["env"].append({"name": "ADDED", "value": "by hand"})
    template = {"spec": {"containers": [container]}}
    cluster.merge("/apis/apps/v1/namespaces/istio-system/deployments/istiod", {"spec": {"template": template}})
    ports: list[Object] = cluster.service("istio-ingressgateway")["spec"]["ports"]
    changed = [port | {"port": 8081} if port["name"] == "http2" else port for port in ports]
    cluster.merge(f"{NAMESPACE}/services/istio-ingressgateway", {"spec": {"ports": changed}})

    ran = mesh("repair", "--yes")
    assert ran.data["repaired"] == ["Deployment istio-system/istiod", "Service istio-system/istio-ingressgateway"]
    assert mesh("drift", "--exit-code").data["drift"] == []
    for found in (cluster.deployment("istiod"), cluster.service("istio-ingressgateway")):
        held = [(entry["manager"], entry["operation"]) for entry in found["metadata"]["managedFields"]]
        assert ("helm", "Apply") in held
        assert ("helm", "Update") not in held

    plain = PlainHelm(helm4, mesh.kubeconfig)
    plain("upgrade", "istiod", str(example_charts / "istiod"), "--reuse-values", "--set", "global.tag=1.20.1")
    (container,) = cluster.deployment("istiod")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image.replace("1.20.0", "1.20.1") != image
    assert "ADDED" not in {one["name"] for one in container["env"]}
    renumbered = [port | {"targetPort": 8082} if port["name"] == "http2" else port for port in ports]
    values = mesh.folder / "ports.json"
    values.write_text(json.dumps({"service": {"ports": [_plain(one) for one in renumbered]}}))
    chart = str(example_charts / "gateway")
    plain("upgrade", "istio-ingressgateway", chart, "--reuse-values", "--values", str(values))
    (http2,) = [port for port in cluster.service("istio-ingressgateway")["spec"]["ports"] if port["name"] == "http2"]
    assert (http2["port"], http2["targetPort"]) == (80, 8082)


def _plain(port: Object) -> Object:
    """Return a port as a chart's values have it, without the node port that the API server gave it."""
    return {key: port[key] for key in ("name", "port", "protocol", "targetPort")}
