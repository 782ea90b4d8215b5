"""Gateway objects against Services: Bookinfo's port 8080, and what nobody listens on."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.gateways.endpoints import GatewayEndpoint, endpoint_of
from nksmesh.domain.gateways.listeners import check_listeners, check_served

CHART: dict[int, int | str] = {15021: 15021, 80: 80, 443: 443}
DEMO: dict[int, int | str] = {15021: 15021, 80: 8080, 443: 8443, 31400: 31400, 15443: 15443}


def gateway(ports: dict[int, int | str], *, pods: bool = True) -> GatewayEndpoint:
    service = {
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in ports.items()],
        },
    }
    pod = {"metadata": {"labels": {"istio": "ingressgateway", "app": "istio-ingressgateway"}}}
    return endpoint_of("istio-ingressgateway", service, [pod] if pods else [])


def of_port(*numbers: int, **selector: str) -> dict[str, Any]:
    servers = [{"port": {"number": number, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]} for number in numbers]
    return {
        "metadata": {"name": "bookinfo-gateway", "namespace": "default"},
        "spec": {"selector": selector or {"istio": "ingressgateway"}, "servers": servers},
    }


@pytest.mark.parametrize(
    ("number", "ports", "closed"),
    [
        (8080, CHART, True),  # Bookinfo's Gateway, with the gateway chart's own ports
        (8080, DEMO, False),
        (80, DEMO, False),  # the Gateway of the sample httpbin
        (80, CHART, False),
        (443, DEMO, False),
        (8443, CHART, True),
        (9000, DEMO, True),
        (8080, {80: "http"}, False),  # a named port leads to what the pod says
    ],
)
def test_a_port_that_the_service_does_not_lead_to_is_closed(
    number: int, ports: dict[int, int | str], closed: bool
) -> None:
    assert [finding.id for finding in check_listeners([of_port(number)], [gateway(ports)])] == closed * [
        "gateway.closed-port"
    ]


def test_the_trap_of_bookinfo_is_explained() -> None:
    (found,) = check_listeners([of_port(8080)], [gateway(CHART)])
    assert found.message == (
        "Gateway default/bookinfo-gateway has port.number 8080, which no port of Service "
        "istio-system/istio-ingressgateway leads to (15021 to 15021, 80 to 80, 443 to 443): connections are refused"
    )
    assert found.hint == (
        "Set port.number to 80. Or install istio-ingressgateway with the ports of the demo profile "
        "(80 to 8080, 443 to 8443)."
    )
    (other,) = check_listeners([of_port(9000)], [gateway(CHART)])
    assert other.hint.startswith("Set port.number to one of the Service's ports.")


def test_a_gateway_that_selects_nobody_is_said() -> None:
    (found,) = check_listeners([of_port(80, istio="ingress")], [gateway(CHART)])
    assert (found.id, found.message) == (
        "gateway.selects-none",
        "Gateway default/bookinfo-gateway selects no gateway of the mesh (istio=ingress): nothing listens for it",
    )
    assert "istio-ingressgateway: app=istio-ingressgateway, istio=ingressgateway" in found.hint
    assert list(check_listeners([of_port(80, istio="ingress")], [gateway(CHART, pods=False)])) == []


@pytest.mark.parametrize(
    ("number", "ports", "served"),
    [(80, CHART, True), (8080, CHART, False), (8080, DEMO, True), (80, DEMO, True), (443, DEMO, False)],
)
def test_a_port_without_a_server_refuses(number: int, ports: dict[int, int | str], served: bool) -> None:
    endpoint = gateway(ports)
    port = next(port for port in endpoint.ports if port.port == 80)
    found = list(check_served([of_port(number)], endpoint, port))
    assert [finding.id for finding in found] == (not served) * ["gateway.no-listener"]


def test_without_a_gateway_object_nothing_listens() -> None:
    endpoint = gateway(DEMO)
    (found,) = check_served([], endpoint, endpoint.ports[1])
    assert found.hint == (
        "Create a Gateway whose selector matches the pods of istio-ingressgateway, with port.number 80."
    )
