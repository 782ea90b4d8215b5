"""Findings about load balancers: each rule, where it holds and where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.load_balancer import load_balancer_values
from nksmesh.domain.plan.load_balancers import (
    AddressFate,
    check_live_service,
    check_load_balancers,
    fate_of,
    leaving_service,
)
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import Layer, LayerKind, compose
from tests.unit.domain.meshes import EDGE, ISTIOD, chart

NHN = "loadbalancer.nhncloud"
INTERNAL = "service.beta.kubernetes.io/openstack-internal-load-balancer"
KEEP = "loadbalancer.openstack.org/keep-floatingip"
CONFIG = "proxy.istio.io/config"
SPEAKING = '{"gatewayTopology": {"proxyProtocol": {}}}'
REF = ObjectRef("v1", "Service", "edge", "edge")


def service(annotations: Mapping[str, str] | None = None, *, kind: str = "LoadBalancer", **spec: Any) -> Manifest:
    ports = [{"port": 15021}, {"port": 80, "protocol": "TCP"}, {"port": 443}, {"port": 443, "protocol": "UDP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "edge", "annotations": dict(annotations or {})},
        "spec": {"type": kind, "ports": ports, **spec},
    }


def live(annotations: Mapping[str, str] | None = None, *, address: str = "203.0.113.7", **spec: Any) -> Manifest:
    given = {"loadBalancer": {"ingress": [{"ip": address}] if address else []}}
    return {**service(annotations, **spec), "status": given}


def workload(config: str = "") -> Manifest:
    metadata = {"annotations": {CONFIG: config}} if config else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "edge"},
        "spec": {"template": {"metadata": metadata}},
    }


def change(*manifests: Manifest, layers: tuple[Layer, ...] = ()) -> ReleaseChange:
    return ReleaseChange(
        release=EDGE, chart=chart("gateway"), layers=layers, composed=compose(layers), manifests=manifests
    )


def found(*manifests: Manifest, layers: tuple[Layer, ...] = (), **others: ReleaseChange) -> list[Finding]:
    return list(check_load_balancers({"edge": change(*manifests, layers=layers), **others}))


def ids(findings: list[Finding] | tuple[Finding, ...]) -> list[str]:
    return [finding.id.removeprefix("balancer.") for finding in findings]


def own(**said: Any) -> Layer:
    return Layer(name="load_balancer", values=load_balancer_values(said), kind=LayerKind.LOAD_BALANCER)


def annotated(**annotations: str) -> Layer:
    return Layer(name="-f edge=x.yaml", values={"service": {"annotations": annotations}}, kind=LayerKind.FILE)


def test_nothing_is_said_of_a_plain_service() -> None:
    assert found(service(), workload()) == []
    assert found(service(kind="ClusterIP"), workload()) == []
    assert found(service({"TCP-443.example.com/other": "x"})) == []


@pytest.mark.parametrize("listener", ["", "TCP-443.", "UDP-443."])
def test_a_private_key_in_values_is_refused_with_its_layer_and_without_itself(listener: str) -> None:
    key = f"{listener}{NHN}/listener-terminated-https-key"
    (finding,) = found(service({key: "c2VjcmV0"}), layers=(annotated(**{key: "c2VjcmV0"}),))
    assert (finding.id, finding.level, finding.error) == ("balancer.tls-key", Level.FAILURE, ConfigError)
    assert finding.message.startswith("-f edge=x.yaml sets service.annotations.")
    assert "c2VjcmV0" not in repr(finding)
    assert "certificate_manager_name" in finding.hint


def test_a_private_key_that_a_chart_renders_is_refused_too() -> None:
    (finding,) = found(service({f"TCP-443.{NHN}/listener-terminated-https-key": "c2VjcmV0"}))
    assert finding.id == "balancer.tls-key"
    assert "Service edge/edge has the annotation TCP-443" in finding.message
    assert "c2VjcmV0" not in repr(finding)


def test_a_key_that_a_stronger_layer_took_away_is_none() -> None:
    key = f"{NHN}/listener-terminated-https-key"
    gone = Layer(name="--set", values={"service": {"annotations": {key: None}}}, kind=LayerKind.SET)
    assert found(service(), layers=(annotated(**{key: "c2VjcmV0"}), gone)) == []


def test_values_that_win_over_load_balancer_are_told() -> None:
    (finding,) = found(service(), layers=(own(name="one"), annotated(**{f"{NHN}/loadbalancer-name": "two"})))
    assert finding.id == "balancer.overridden"
    assert "is two, set by -f edge=x.yaml, where load_balancer has one" in finding.message
    assert found(service(), layers=(own(name="one"), annotated(other="x"))) == []
    assert found(service(), layers=(own(name="one"), annotated(**{f"{NHN}/loadbalancer-name": "one"}))) == []


def test_a_service_of_another_type_has_no_load_balancer() -> None:
    (finding,) = found(service(kind="NodePort"), layers=(own(name="one"),))
    assert finding.id == "balancer.no-effect"
    assert "is of type NodePort" in finding.message


def test_a_listener_of_a_port_that_the_service_lacks_is_told() -> None:
    settings = {f"TCP-8443.{NHN}/listener-protocol": "HTTP", f"TCP-443.{NHN}/listener-protocol": "HTTPS"}
    (finding,) = found(service(settings))
    assert finding.id == "balancer.no-effect"
    assert "has no TCP port 8443" in finding.message
    assert "80, 443, 15021" in finding.hint


def test_both_sides_of_proxy_protocol_are_right() -> None:
    assert found(service({f"{NHN}/proxy-protocol": "true"}), workload(SPEAKING)) == []
    assert found(service({f"{NHN}/proxy-protocol": "true"}), workload("gatewayTopology: {proxy_protocol: {}}")) == []
    # a listener that ends TLS itself speaks HTTP: it has no proxy protocol, and neither have the proxies
    ended = {f"TCP-{port}.{NHN}/listener-protocol": "HTTP" for port in (80, 443)}
    assert found(service({**ended, f"{NHN}/proxy-protocol": "true"}), workload()) == []


@pytest.mark.parametrize(
    ("annotations", "config", "words"),
    [
        ({f"{NHN}/proxy-protocol": "true"}, "", "on port 80, 443 the load balancer will speak"),
        ({f"TCP-443.{NHN}/proxy-protocol": "true"}, "", "on port 443 the load balancer will speak"),
        ({f"TCP-443.{NHN}/proxy-protocol": "true"}, SPEAKING, "on port 80 the proxies will speak"),
        ({}, SPEAKING, "on port 80, 443 the proxies will speak"),
        (
            {f"{NHN}/proxy-protocol": "true", f"TCP-80.{NHN}/proxy-protocol": "false"},
            SPEAKING,
            "on port 80 the proxies",
        ),
    ],
)
def test_one_side_alone_is_told(annotations: Mapping[str, str], config: str, words: str) -> None:
    (finding,) = found(service(annotations), workload(config))
    assert finding.id == "balancer.one-sided-proxy-protocol"
    assert words in finding.message


def test_the_whole_meshs_proxies_may_speak_it() -> None:
    mesh = {"kind": "ConfigMap", "metadata": {"name": "istio"}, "data": {"mesh": f"defaultConfig: {SPEAKING}"}}
    istiod = ReleaseChange(release=ISTIOD, chart=chart("istiod"), layers=(), composed=compose(()), manifests=(mesh,))
    assert found(service({f"{NHN}/proxy-protocol": "true"}), workload(), istiod=istiod) == []
    assert ids(found(service(), workload(), istiod=istiod)) == ["one-sided-proxy-protocol"]


def compared(before: Manifest, after: Manifest) -> list[Finding]:
    return list(check_live_service(before, after, "edge"))


def test_a_live_service_that_stays_as_it_is_is_no_news() -> None:
    assert compared(live(), service()) == []
    assert compared(live({KEEP: "false"}), service({KEEP: "true"})) == []
    assert compared(live({f"{NHN}/listener-protocol": "TCP"}), service()) == []
    assert compared(live(kind="ClusterIP"), service({f"{NHN}/loadbalancer-name": "x"})) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {f"TCP-443.{NHN}/listener-protocol": "HTTPS"}, ["listener 443 becomes HTTPS (now TCP)"]),
        ({f"TCP-80.{NHN}/listener-protocol": "HTTP"}, {}, ["listener 80 becomes TCP (now HTTP)"]),
        (
            {},
            {f"{NHN}/listener-protocol": "HTTP"},
            [f"listener {port} becomes HTTP (now TCP)" for port in (15021, 80, 443)],
        ),
        ({}, {f"{NHN}/loadbalancer-name": "edge"}, ["becomes edge (now the default)"]),
        ({f"{NHN}/loadbalancer-name": "a"}, {f"{NHN}/loadbalancer-name": "b"}, ["becomes b (now a)"]),
    ],
)
def test_what_takes_effect_only_on_a_new_service_is_told(
    before: Mapping[str, str], after: Mapping[str, str], words: list[str]
) -> None:
    findings = compared(live(before), service(after))
    assert ids(findings) == ["fixed-setting"] * len(words)
    assert all(said in finding.message for said, finding in zip(words, findings, strict=True))
    assert "kubectl delete service edge -n edge" in findings[0].hint
    assert "is deleted with the Service" in findings[0].hint


def test_a_port_that_is_new_has_no_protocol_yet() -> None:
    before = live(ports=[{"port": 80}])
    assert compared(before, service({f"TCP-443.{NHN}/listener-protocol": "HTTPS"})) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (live(), service({INTERNAL: "true"}), "internal becomes true (now false)"),
        (live({INTERNAL: "true"}), service(), "internal becomes false (now true)"),
        (live(), service({"loadbalancer.openstack.org/subnet-id": "s"}), "subnet_id becomes s (now the default)"),
        (
            live({"loadbalancer.openstack.org/network-id": "a"}),
            service({"loadbalancer.openstack.org/network-id": "b"}),
            "network_id becomes b (now a)",
        ),
        (live(), service(loadBalancerIP="203.0.113.9"), "address becomes 203.0.113.9 (now unset)"),
        (
            live(address="203.0.113.9", loadBalancerIP="203.0.113.9"),
            service(),
            "address becomes unset (now 203.0.113.9)",
        ),
    ],
)
def test_what_makes_the_address_another_one_is_told(before: Manifest, after: Manifest, words: str) -> None:
    (finding,) = compared(before, after)
    assert finding.id == "balancer.new-address"
    assert words in finding.message


def test_the_address_that_it_has_already_may_be_written_down() -> None:
    assert compared(live(), service(loadBalancerIP="203.0.113.7")) == []
    assert compared(live({INTERNAL: "false"}), service()) == []
    assert compared(live(address=""), service({INTERNAL: "true"})) == []


def test_a_service_that_is_no_load_balancer_any_more_loses_its_address() -> None:
    (finding,) = compared(live(), service(kind="ClusterIP"))
    assert finding.id == "balancer.released-address"
    assert finding.message == (
        "it is no longer a LoadBalancer: the public address 203.0.113.7 of Service edge/edge is deleted with the "
        "Service (keep_address is not set)"
    )


@pytest.mark.parametrize(
    ("gone", "fate", "words"),
    [
        (live(), AddressFate.DELETED, "is deleted with the Service"),
        (live({KEEP: "false"}), AddressFate.DELETED, "is deleted with the Service"),
        (live({KEEP: "true"}), AddressFate.KEPT, "stays in the project"),
        (live(loadBalancerIP="203.0.113.7"), AddressFate.KEPT, "stays in the project"),
        (live({INTERNAL: "true", KEEP: "true"}), AddressFate.INTERNAL, "is released"),
    ],
)
def test_what_becomes_of_the_address_of_a_service_that_goes(gone: Manifest, fate: AddressFate, words: str) -> None:
    assert fate_of(gone) is fate
    (finding,) = leaving_service(gone, REF, "release edge is removed")
    assert finding.message.startswith("release edge is removed: ")
    assert words in finding.message
    assert bool(finding.hint) is (fate is AddressFate.DELETED)


def test_a_service_without_an_address_has_none_to_lose() -> None:
    assert leaving_service(live(address=""), REF, "x") == ()
    assert leaving_service(live(kind="ClusterIP"), REF, "x") == ()
