"""From nothing to a mesh, with our own charts: what is done, in which order, and what stands there after."""

from __future__ import annotations

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader, Ref

pytestmark = pytest.mark.cluster

HUB = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
PROXY = f"{HUB}/proxyv2:1.20.0"
RECORD = Ref("v1", "Secret", "kube-system", "nksmesh.istio-system")


def test_the_default_profile_is_installed_in_order_and_proved(mesh: Program, cluster: Reader) -> None:
    ran = mesh("install", "--region", "kr1", "--profile", "default")

    assert ran.envelope.keys() == {"nksmesh", "command", "status", "data", "errors"}
    assert (ran.envelope["nksmesh"], ran.envelope["command"], ran.envelope["status"]) == (1, "install", "success")
    assert ran.actions == {
        "namespace istio-system": "create",
        "CRDs": "apply",
        "istio-base": "install",
        "istiod": "install",
        "injection webhook": "prove",
        "istio-ingressgateway": "install",
    }
    assert list(ran.actions)[-2:] == ["injection webhook", "istio-ingressgateway"]
    done = [step["name"] for step in ran.data["done"]]
    assert set(done) == set(ran.actions)
    assert done[-2:] == ["injection webhook", "istio-ingressgateway"]
    assert (ran.data["hub"], ran.data["proxy_image"], ran.data["warnings"]) == (HUB, PROXY, [])

    assert cluster.deployment("istiod")["spec"]["template"]["spec"]["containers"][0]["image"] == f"{HUB}/pilot:1.20.0"
    assert cluster.images("istio=ingressgateway") == {PROXY}
    service = cluster.service("istio-ingressgateway")
    (given,) = service["status"]["loadBalancer"]["ingress"]
    assert ran.data["addresses"] == {"istio-ingressgateway": [given["ip"]]}
    assert service["metadata"]["labels"]["istio"] == "ingressgateway"
    assert cluster.deployment("istio-ingressgateway")["status"]["availableReplicas"] == 1

    assert sorted(cluster.helm_revisions()) == [
        f"sh.helm.release.v1.{name}.v1" for name in ("istio-base", "istio-ingressgateway", "istiod")
    ]
    assert {cluster.helm_release(name)["info"]["status"] for name in ("istio-base", "istiod")} == {"deployed"}
    assert RECORD in cluster.everything()
    progress = ran.stderr.splitlines()
    assert any("istiod: waiting for Deployment istiod" in line for line in progress)
    proved = next(i for i, line in enumerate(progress) if "injection webhook: done" in line)
    begun = next(i for i, line in enumerate(progress) if "istio-ingressgateway: started" in line)
    assert proved < begun


def test_the_demo_profile_has_both_gateways_as_the_guide_has_them(mesh: Program, cluster: Reader) -> None:
    ran = mesh("install", "--region", "kr1", "--profile", "demo")

    assert list(ran.actions)[-2:] == ["istio-ingressgateway", "istio-egressgateway"]
    for gateway in ("ingressgateway", "egressgateway"):
        assert cluster.images(f"istio={gateway}") == {PROXY}
        assert cluster.deployment(f"istio-{gateway}")["spec"]["selector"]["matchLabels"]["istio"] == gateway
    ingress, egress = cluster.service("istio-ingressgateway"), cluster.service("istio-egressgateway")
    assert {(port["port"], port["targetPort"]) for port in ingress["spec"]["ports"]} == {
        (15021, 15021),
        (80, 8080),
        (443, 8443),
        (31400, 31400),
        (15443, 15443),
    }
    assert (ingress["spec"]["type"], egress["spec"]["type"]) == ("LoadBalancer", "ClusterIP")
    assert {(port["port"], port["targetPort"]) for port in egress["spec"]["ports"]} == {(80, 8080), (443, 8443)}
    assert list(ran.data["addresses"]) == ["istio-ingressgateway"]
    assert cluster.items("/apis/autoscaling/v2/horizontalpodautoscalers") == []
    disrupted = {one["metadata"]["name"] for one in cluster.items("/apis/policy/v1/poddisruptionbudgets")}
    assert disrupted == {"istiod", "istio-ingressgateway", "istio-egressgateway"}

    stored = cluster.helm_revisions()
    assert mesh("install").changes == {}
    assert cluster.helm_revisions() == stored


def test_plan_and_dry_run_show_what_install_does_and_write_nothing(mesh: Program, cluster: Reader) -> None:
    empty = cluster.everything()
    planned = mesh("plan", "--region", "kr1", "--exit-code", code=10)
    assert planned.envelope["status"] == "success"
    assert mesh("plan", "--region", "kr1").data["changes"] is True
    rehearsed = mesh("install", "--region", "kr1", "--dry-run")
    assert rehearsed.data["dry_run"] is True
    assert rehearsed.data["done"] == []
    assert cluster.everything() == empty

    installed = mesh("install", "--region", "kr1")
    assert installed.data["steps"] == planned.data["steps"] == rehearsed.data["steps"]
    standing = cluster.everything()
    assert mesh("plan", "--exit-code").changes == {}
    pending = mesh("install", "--set", "istiod:pilot.traceSampling=7", "--dry-run")
    assert pending.changes == {"istiod": "upgrade"}
    assert "traceSampling" in pending.reasons["istiod"][0]
    assert mesh("plan", "--set", "istiod:pilot.traceSampling=7", "--exit-code", code=10).changes == pending.changes
    assert cluster.everything() == standing


def test_people_read_what_was_done_and_where_the_gateway_is(mesh: Program, cluster: Reader) -> None:
    ran = mesh("install", "--region", "kr1", output="")
    address = cluster.service("istio-ingressgateway")["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert address in ran.stdout + ran.stderr
    assert "\x1b[" not in ran.stdout + ran.stderr
    told = mesh("install", output="", charts="")
    assert "as installed" in told.stdout + told.stderr
    quiet = mesh("install", "-q", output="", charts="")
    assert quiet.stderr == ""
