"""One real result of each command that is about gateways."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nksmesh.commands.gateway import GatewayList, GatewayUrl
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.gateways.answers import Answer
from nksmesh.domain.gateways.endpoints import GatewayEndpoint, ServicePort

_PORTS: Final = (
    ServicePort(name="http2", port=80, target=8080, node_port=30745),
    ServicePort(name="https", port=443, target=8443, node_port=32227),
)
_INGRESS: Final = GatewayEndpoint(
    name="istio-ingressgateway",
    service="istio-system/istio-ingressgateway",
    kind="LoadBalancer",
    addresses=("114.110.160.79",),
    node="172.16.0.42",
    ports=_PORTS,
)
_FOUND: Final = Finding(
    id="gateway.closed-port",
    level=Level.WARNING,
    subject="default/bookinfo-gateway",
    message="Gateway default/bookinfo-gateway has port.number 8080",
    hint="Set port.number to 80.",
)
_URL: Final = "http://114.110.160.79:80"
GATEWAY_LIST: Final = GatewayList(
    namespace="istio-system",
    gateways=(
        _INGRESS,
        replace(_INGRESS, name="edge", service="edge/edge", addresses=(), node=""),
        replace(_INGRESS, name="istio-egressgateway", kind="ClusterIP", addresses=(), ports=()),
    ),
    findings=(_FOUND,),
)
GATEWAY_URL: Final = GatewayUrl(
    gateway="istio-ingressgateway",
    service="istio-system/istio-ingressgateway",
    url=_URL,
    address="114.110.160.79:80",
    by_node=False,
    variables={
        "INGRESS_HOST": "114.110.160.79",
        "INGRESS_PORT": "80",
        "SECURE_INGRESS_PORT": "443",
        "GATEWAY_URL": "114.110.160.79:80",
    },
    answer=Answer(url=f"{_URL}/productpage", status=200, title="Simple Bookstore App", seconds=0.042),
)
GATEWAY_SAMPLES: Final = {"gateway list": GATEWAY_LIST, "gateway url": GATEWAY_URL}
MORE_GATEWAY_SAMPLES: Final = {
    "gateway list, none": GatewayList(namespace="istio-system", gateways=()),
    "gateway url, alone": replace(GATEWAY_URL, answer=None),
    "gateway url, for a shell": replace(GATEWAY_URL, answer=None, shell=True),  # noqa: S604 - no process
    "gateway url, refused": replace(
        GATEWAY_URL, answer=Answer(url=f"{_URL}/productpage", failure="Connection refused"), findings=(_FOUND,)
    ),
    "gateway url, an error": replace(GATEWAY_URL, answer=Answer(url=f"{_URL}/productpage", status=404)),
}
