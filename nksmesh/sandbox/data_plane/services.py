"""Services as the data plane forwards them: their addresses, the endpoints behind each port, and their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import addresses_of
from nksmesh.sandbox.nodes import NODES

_SERVICE_NAME: Final = "kubernetes.io/service-name"
_API_SERVER: Final = ("default", "kubernetes")


def services_of(services: Iterable[Manifest], slices: Iterable[Manifest]) -> list[dict[str, Any]]:
    """Return what the data plane is told of all Services."""
    behind: dict[tuple[str, str], list[Manifest]] = {}
    for endpoints in slices:
        metadata = endpoints["metadata"]
        name = (metadata.get("labels") or {}).get(_SERVICE_NAME, "")
        behind.setdefault((metadata["namespace"], name), []).append(endpoints)
    return [
        _service(service, behind.get((service["metadata"]["namespace"], service["metadata"]["name"]), []))
        for service in services
    ]


def external_addresses(services: Iterable[Manifest]) -> list[str]:
    """Return each address and TCP port that a load balancer has for a Service."""
    return [
        f"{address}:{port['port']}"
        for service in services
        for address in addresses_of(service)
        for port in _tcp_ports(service)
        if address[:1].isdigit()
    ]


def _service(service: Manifest, slices: list[Manifest]) -> dict[str, Any]:
    metadata, spec = service["metadata"], service["spec"]
    cluster = spec.get("clusterIP") or ""
    ready = [address for endpoints in slices for address in _addresses(endpoints)]
    headless = cluster in {"", "None"}
    forwards: dict[str, list[str]] = {}
    if not headless and (metadata["namespace"], metadata["name"]) != _API_SERVER:
        for port in _tcp_ports(service):
            targets = _targets(slices, str(port.get("name") or ""))
            addresses = [cluster, *addresses_of(service), *(spec.get("externalIPs") or ())]
            forwards |= {f"{address}:{port['port']}": targets for address in addresses if address[:1].isdigit()}
            if node_port := port.get("nodePort"):
                forwards |= {f"{node}:{node_port}": targets for node in NODES.values()}
    return {
        "name": f"{metadata['name']}.{metadata['namespace']}.svc",
        "resolved": ready if headless else [cluster],
        "forwards": forwards,
    }


def _tcp_ports(service: Manifest) -> list[Mapping[str, Any]]:
    return [port for port in service["spec"].get("ports") or () if port.get("protocol", "TCP") == "TCP"]


def _addresses(endpoints: Manifest) -> list[str]:
    return [
        address
        for endpoint in endpoints.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint["addresses"]
    ]


def _targets(slices: list[Manifest], port_name: str) -> list[str]:
    return [
        f"{address}:{port['port']}"
        for endpoints in slices
        for port in endpoints.get("ports") or ()
        if str(port.get("name") or "") == port_name and port.get("port")
        for address in _addresses(endpoints)
    ]
