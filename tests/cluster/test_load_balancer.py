"""A gateway's load balancer on a real API server: installed, changed, taken away; and private keys that stay hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

NHN = "loadbalancer.nhncloud"
TLS_KEY = f"TCP-443.{NHN}/listener-terminated-https-key"
KEY = "MIIEowIBAAKCAQEA7f"
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"
GATEWAY = "istio-ingressgateway"


def write(mesh: Program, load_balancer: dict[str, Any], **others: Any) -> None:
    """Write the environment edge, and values of its gateway."""
    home = mesh.folder / "values" / "environments" / "edge"
    home.mkdir(parents=True, exist_ok=True)
    (mesh.folder / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    gateway = {"name": GATEWAY, "load_balancer": load_balancer}
    (home / "mesh.yaml").write_text(
        yaml.safe_dump({"region": "kr1", "version": "1.20.0", "gateways": [gateway], **others})
    )


def findings(ran: Ran) -> dict[str, str]:
    return {row["message"]: row["hint"] for row in ran.data["findings"]}


def test_a_load_balancer_is_installed_changed_and_taken_away(mesh: Program, cluster: Reader) -> None:
    write(mesh, {"keep_address": True, "connection_limit": 1000, "proxy_protocol": True, "health": {"interval": 40}})
    config = "podAnnotations.proxy\\.istio\\.io/config=concurrency: 2"
    installed = mesh("install", "-e", "edge", "--set-string", f"{GATEWAY}:{config}")
    assert installed.data["findings"] == []
    (address,) = installed.data["addresses"][GATEWAY]
    live = cluster.service(GATEWAY)
    annotations = {name: text for name, text in live["metadata"]["annotations"].items() if "loadbalancer" in name}
    assert annotations == {
        "loadbalancer.openstack.org/keep-floatingip": "true",
        f"{NHN}/connection-limit": "1000",
        f"{NHN}/proxy-protocol": "true",
        f"{NHN}/healthmonitor-delay": "40",
    }
    template = cluster.deployment(GATEWAY)["spec"]["template"]["metadata"]["annotations"]
    assert json.loads(template["proxy.istio.io/config"]) == {
        "concurrency": 2,
        "gatewayTopology": {"proxyProtocol": {}},
    }
    assert mesh("plan", "--exit-code").changes == {}
    shown = mesh("values", "show", GATEWAY, "-e", "edge", output="").stdout
    assert "environment edge (load_balancer)" in shown

    # a change says what it cannot reach, and what becomes of the address; the plan alone writes nothing
    write(mesh, {"internal": True, "name": "edge", "listeners": {"443": {"protocol": "HTTPS"}, "8443": {}}})
    standing = cluster.everything()
    planned = findings(mesh("plan", "-e", "edge"))
    service, anew = f"Service istio-system/{GATEWAY}", "which takes effect only on a new Service"
    assert list(planned) == [
        f"{service}: the protocol of listener 443 becomes HTTPS (now TCP), {anew}",
        f"{service}: the name of the load balancer becomes edge (now the default), {anew}",
        f"{service} gets another address than {address}: internal becomes true (now false)",
    ]
    assert any(f"the public address {address} of {GATEWAY} stays in the project" in hint for hint in planned.values())
    # a stronger file wins, and is told; so is a listener of a port that is not there
    (mesh.folder / "values/environments/edge" / f"{GATEWAY}.yaml").write_text(
        yaml.safe_dump({"service": {"annotations": {f"{NHN}/loadbalancer-name": "mine"}}})
    )
    write(mesh, {"name": "edge", "listeners": {"8443": {"protocol": "HTTPS"}}})
    told = list(findings(mesh("plan", "-e", "edge")))
    assert f"{service} has no TCP port 8443: the settings of that listener have no effect" in told
    assert any("loadbalancer-name is mine, set by environment edge" in words for words in told)
    assert cluster.everything() == standing

    write(mesh, {"address": address, "listeners": {"443": {"protocol": "HTTPS"}}})
    (mesh.folder / "values/environments/edge" / f"{GATEWAY}.yaml").unlink()
    changed = mesh("install", "-e", "edge")
    assert [words.partition(":")[0] for words in findings(changed)] == [service]
    assert cluster.service(GATEWAY)["spec"]["loadBalancerIP"] == address
    assert cluster.service(GATEWAY)["metadata"]["annotations"][f"TCP-443.{NHN}/listener-protocol"] == "HTTPS"
    template = cluster.deployment(GATEWAY)["spec"]["template"]["metadata"]["annotations"]
    assert "proxy.istio.io/config" not in template

    # a gateway that leaves the mesh says what becomes of its address
    write(mesh, {}, gateways=[])
    (gone,) = findings(mesh("plan", "-e", "edge", "--prune"))
    assert gone == (f"release {GATEWAY} is removed: the public address {address} of {service} stays in the project")
    assert findings(mesh("plan", "-e", "edge")) == {}
    asked = mesh("uninstall", "--yes")
    assert asked.data["address_fates"] == {f"istio-system/{GATEWAY}": "kept"}


def test_the_address_that_nhn_made_goes_with_its_service(mesh: Program) -> None:
    (address,) = mesh("install", "--region", "kr1").data["addresses"][GATEWAY]
    ran = mesh("uninstall", output="", code=2)
    said = " ".join((ran.stdout + ran.stderr).split())
    assert f"the public address {address} of istio-system/{GATEWAY} is deleted with the Service" in said
    assert mesh("uninstall", "--yes").data["address_fates"] == {f"istio-system/{GATEWAY}": "deleted"}


def test_mistakes_in_a_load_balancer_are_told_before_anything_is_read(mesh: Program) -> None:
    write(mesh, {"connection_limit": 60001})
    error = mesh("plan", "-e", "edge", code=2).error
    assert "mesh.yaml, line 3: gateways[0].load_balancer.connection_limit cannot be 60001" in error["message"]


def test_a_private_key_is_refused_and_shown_nowhere(
    mesh: Program, cluster: Reader, helm3: str, example_charts: Path
) -> None:
    mesh("install", "--region", "kr1")
    values = mesh.folder / "key.yaml"
    values.write_text(yaml.safe_dump({"service": {"annotations": {TLS_KEY: PEM, "mine": "shown"}}}))
    standing = cluster.everything()
    runs = [
        mesh("install", "-f", f"{GATEWAY}=key.yaml", code=2),
        mesh("plan", "-f", f"{GATEWAY}=key.yaml", "--diff", code=2, output=""),
        mesh("template", "--region", "kr1", "-f", f"{GATEWAY}=key.yaml", code=2, output=""),
        mesh("values", "show", GATEWAY, "--region", "kr1", "-f", f"{GATEWAY}=key.yaml", output=""),
        mesh("values", "show", GATEWAY, "--region", "kr1", "-f", f"{GATEWAY}=key.yaml"),
    ]
    assert "private key in an annotation" in runs[0].error["message"]
    assert "-f istio-ingressgateway=key.yaml sets service.annotations." in runs[0].error["message"]
    assert "(hidden)" in runs[3].stdout
    assert cluster.everything() == standing

    # Helm alone wrote it: it is in the stored release and on the live Service, which somebody changed as well
    helm = PlainHelm(helm3, mesh.kubeconfig)
    helm("upgrade", GATEWAY, str(example_charts / "gateway"), "--reuse-values", "--values", str(values))
    live = f"/api/v1/namespaces/istio-system/services/{GATEWAY}"
    cluster.merge(live, {"metadata": {"annotations": {TLS_KEY: PEM.replace("7f", "7g")}}})
    cluster.merge(live, {"spec": {"externalTrafficPolicy": "Local"}})
    write(mesh, {})
    home = mesh.folder / "values" / "environments" / "edge"
    (home / f"{GATEWAY}.yaml").write_text(values.read_text())
    runs += [
        mesh("plan", "--diff", code=None, output=""),
        mesh("plan", "--diff", code=None),
        mesh("plan", "-v", code=None, output=""),
        mesh("drift", "--diff", output=""),
        mesh("drift", "--diff"),
        mesh("env", "show", "edge", output=""),
        mesh("env", "show", "edge"),
        mesh("values", "show", GATEWAY, "-e", "edge", output=""),
        mesh("plan", "-e", "edge", "--diff", code=2, output=""),
        mesh("status", "-v", output=""),
        mesh("adopt", "--dry-run", code=None, output=""),
        mesh("install", code=None, output=""),
        mesh("rollback", "--dry-run", code=None, output=""),
        mesh("history", output=""),
        mesh("history"),
        mesh("repair", "--yes", code=None, output=""),
        mesh("uninstall", "--yes"),
    ]
    drifted = next(run for run in runs if run.arguments[:2] == ("drift", "--diff"))
    assert "(hidden)" in drifted.stdout
    shown = next(run for run in runs if run.arguments == ("plan", "--diff") and "mine" in run.stdout)
    assert "(hidden)" in shown.stdout
    for run in runs:
        for piece in (KEY, KEY.replace("7f", "7g")):
            assert piece not in run.stdout + run.stderr, str(run)


def test_istios_own_gateway_chart_takes_it(istio: Program, cluster: Reader) -> None:
    write(istio, {"internal": True, "address": "203.0.113.77", "algorithm": "SOURCE_IP", "proxy_protocol": True})
    ran = replace(istio, waits=120.0)("install", "-e", "edge", "--version", "1.20.0")
    assert ran.data["addresses"] == {GATEWAY: ["203.0.113.77"]}
    assert not [row for row in ran.data["findings"] if GATEWAY in row["subject"]]
    annotations = cluster.service(GATEWAY)["metadata"]["annotations"]
    assert annotations[f"{NHN}/pool-lb-method"] == "SOURCE_IP"
    assert annotations["service.beta.kubernetes.io/openstack-internal-load-balancer"] == "true"
