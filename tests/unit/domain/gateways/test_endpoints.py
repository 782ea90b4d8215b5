"""Where a gateway is reached, and why it is not."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError, NotReadyError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.gateways.endpoints import GatewayEndpoint, choose_gateway, endpoint_of, why_no_address

Object = dict[str, Any]

PORTS: list[Object] = [
    {"name": "status-port", "port": 15021, "targetPort": 15021, "nodePort": 31991},
    {"name": "http2", "port": 80, "targetPort": 8080, "nodePort": 30745},
    {"name": "https", "port": 443, "targetPort": 8443, "nodePort": 32227},
]


def service(
    kind: str = "LoadBalancer", ports: list[Object] | None = None, ingress: dict[str, str] | None = None
) -> Object:
    return {
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {"type": kind, "ports": PORTS if ports is None else ports},
        "status": {"loadBalancer": {"ingress": [ingress] if ingress else []}},
    }


def pod(host: str, *, ready: bool = True) -> Object:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": f"pod-{host}", "labels": {"istio": "ingressgateway"}},
        "status": {"hostIP": host, "conditions": conditions},
    }


def endpoint(
    kind: str = "LoadBalancer", *pods: Object, ports: list[Object] | None = None, ip: str = ""
) -> GatewayEndpoint:
    ingress = {"ip": ip} if ip else {}
    return endpoint_of("istio-ingressgateway", service(kind, ports, ingress), pods or (pod("172.16.0.42"),))


@pytest.mark.parametrize(
    ("ingress", "http", "https"),
    [
        ({"ip": "114.110.160.79"}, "114.110.160.79:80", "114.110.160.79:443"),
        ({"hostname": "lb.example.com"}, "lb.example.com:80", "lb.example.com:443"),
        ({"ip": "2001:db8::1"}, "[2001:db8::1]:80", "[2001:db8::1]:443"),
        ({}, "172.16.0.42:30745", "172.16.0.42:32227"),
    ],
)
def test_the_address_is_the_load_balancers_or_a_nodes(ingress: dict[str, str], http: str, https: str) -> None:
    found = endpoint_of("istio-ingressgateway", service(ingress=ingress), (pod("172.16.0.42"),))
    assert (str(found.address("http2")), str(found.address("https"))) == (http, https)
    assert found.address("http2", by_node=False) is None or ingress


def test_the_node_is_that_of_a_ready_pod() -> None:
    found = endpoint("LoadBalancer", pod("10.0.0.1", ready=False), pod("10.0.0.2"))
    assert found.node == "10.0.0.2"
    assert endpoint("LoadBalancer", pod("10.0.0.1", ready=False)).node == "10.0.0.1"


def test_a_port_is_known_by_its_number_where_it_has_another_name() -> None:
    found = endpoint(ports=[{"name": "web", "port": 80}, {"name": "tls", "port": 443}], ip="192.0.2.1")
    assert (str(found.address("http2")), str(found.address("https"))) == ("192.0.2.1:80", "192.0.2.1:443")
    assert found.address("tcp") is None
    assert (found.node_address("http2"), found.ports[0].target) == (None, 80)


def test_the_gateway_is_the_one_that_is_reached_from_outside() -> None:
    ingress = endpoint(ip="192.0.2.1")
    egress = endpoint_of("istio-egressgateway", service("ClusterIP"), ())
    assert choose_gateway([egress, ingress], "") is ingress
    assert choose_gateway([egress, ingress], "istio-egressgateway") is egress
    several = choose_gateway([ingress, endpoint_of("edge", service(), ())], "")
    assert isinstance(several, Finding)
    assert (several.id, several.hint) == (
        "gateway.several",
        "Name one of them: nksmesh gateway url --gateway istio-ingressgateway.",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("edeg", "there is no gateway 'edeg'"), ("", "the mesh has no gateway that is reached from outside")],
)
def test_a_gateway_that_is_not_there_is_said(name: str, message: str) -> None:
    found = choose_gateway([endpoint("ClusterIP")], name)
    assert isinstance(found, Finding)
    assert (found.id, found.message, found.error) == ("gateway.missing", message, ConfigError)
    assert "istio-ingressgateway" in found.hint


@pytest.mark.parametrize(
    ("kind", "port", "rule"),
    [
        ("LoadBalancer", "tcp", "gateway.missing-port"),
        ("ClusterIP", "http2", "gateway.not-exposed"),
        ("LoadBalancer", "http2", "gateway.no-address"),
    ],
)
def test_why_there_is_no_address(kind: str, port: str, rule: str) -> None:
    found = why_no_address(endpoint(kind), service(kind), port, ())
    assert (found.id, found.error) == (rule, NotReadyError if rule == "gateway.no-address" else ConfigError)


@pytest.mark.parametrize(
    ("event", "fixed", "hint"),
    [
        ("", "", "NHN Cloud takes up to 4 minutes"),
        ("Error syncing load balancer: Quota exceeded for resources: ['floatingip']", "", "Raise the project's quota"),
        (
            "Error syncing load balancer: floating IP 203.0.113.7 is in use",
            "203.0.113.7",
            "203.0.113.7 must be a floating",
        ),
        ("Error syncing load balancer: floating IP pool is empty", "", "Run kubectl describe service -n istio-system"),
        (
            "Error syncing load balancer: timeout",
            "",
            "Run kubectl describe service -n istio-system istio-ingressgateway",
        ),
    ],
)
def test_what_the_events_say_decides_what_helps(event: str, fixed: str, hint: str) -> None:
    item = service()
    item["spec"] |= {"loadBalancerIP": fixed}
    found = why_no_address(endpoint(), item, "http2", ["an older one", event] if event else ())
    assert found.hint.startswith(hint)
    assert found.message.endswith(event or "no address yet")
