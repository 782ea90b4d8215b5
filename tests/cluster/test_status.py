"""What status tells of a mesh: ours, one that is not whole, and one that Helm alone made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

HUB = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"


def test_status_tells_releases_readiness_images_and_addresses(mesh: Program, cluster: Reader) -> None:
    empty = mesh("status")
    assert (empty.data["installed"], empty.data["releases"], empty.envelope["status"]) == (False, [], "success")
    assert empty.data["kubernetes"].startswith("v1.28.")

    installed = mesh("install", "--region", "kr1", "--profile", "demo")
    told = mesh("status")
    assert {
        key: told.data[key] for key in ("installed", "ready", "version", "profile", "region", "network", "hub")
    } == {
        "installed": True,
        "ready": True,
        "version": "1.20.0",
        "profile": "demo",
        "region": "kr1",
        "network": "public",
        "hub": HUB,
    }
    releases = {release["name"]: release for release in told.data["releases"]}
    assert set(releases) == {"istio-base", "istiod", "istio-ingressgateway", "istio-egressgateway"}
    assert all(release["ready"] and release["chart_version"] == "1.20.0" for release in releases.values())
    assert releases["istiod"]["images"] == [f"{HUB}/pilot:1.20.0"]
    assert releases["istio-egressgateway"]["images"] == [f"{HUB}/proxyv2:1.20.0"]
    gateways = {gateway["name"]: gateway for gateway in told.data["gateways"]}
    (address,) = installed.data["addresses"]["istio-ingressgateway"]
    assert (gateways["istio-ingressgateway"]["addresses"], gateways["istio-ingressgateway"]["http"]) == (
        [address],
        f"{address}:80",
    )
    assert gateways["istio-egressgateway"]["type"] == "ClusterIP"
    text = mesh("status", output="").stdout
    assert all(word in text for word in (HUB, address, "istio-egressgateway", "1.20.0"))

    # istiod is taken away from under it
    cluster.merge(
        "/apis/apps/v1/namespaces/istio-system/deployments/istiod",
        {
            "spec": {
                "template": {"spec": {"nodeSelector": {"no": "such-node"}}},
                "strategy": {"type": "Recreate", "rollingUpdate": None},
            }
        },
    )
    broken = mesh("status")
    assert broken.data["ready"] is False
    istiod = next(release for release in broken.data["releases"] if release["name"] == "istiod")
    assert (istiod["ready"], bool(istiod["message"])) == (False, True)


def test_a_mesh_that_plain_helm_made_is_seen_and_taken_on(mesh: Program, helm3: str, example_charts: Path) -> None:
    helm = PlainHelm(helm3, mesh.kubeconfig)
    moved = ("--set", f"global.hub={HUB}", "--set", "global.tag=1.20.0")
    helm("install", "istio-base", str(example_charts / "base"), "--create-namespace", "--wait")
    helm("install", "istiod", str(example_charts / "istiod"), "--wait", *moved)
    helm("install", "istio-ingressgateway", str(example_charts / "gateway"), "--wait")

    told = mesh("status")
    assert (told.data["installed"], told.data["ready"], told.data["recorded"]) == (True, True, False)
    assert {release["name"] for release in told.data["releases"]} == {"istio-base", "istiod", "istio-ingressgateway"}

    ran = mesh("install", "--region", "kr1", "--profile", "default")
    # CRDs are marked with their version; the region's layer says the proxy's bare names, too.
    assert set(ran.changes) <= {"CRDs", "istiod"}
    assert mesh("install").changes == {}
    assert mesh("status").data["recorded"] is True
    assert helm.releases() == dict.fromkeys(("istio-base", "istiod", "istio-ingressgateway"), "deployed")
