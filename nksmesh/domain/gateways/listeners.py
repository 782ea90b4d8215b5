"""Gateway objects against the Services of the gateways that they select: ports that nobody can connect to.

A Gateway's ``port.number`` is a port of the Service where that has it, and the proxy listens on its targetPort. Any
other number is what the proxy listens on (``resolvePorts`` in istio's pilot/pkg/model/gateway.go), which is of use only
where it is the targetPort of some port. Bookinfo's Gateway has 8080: with the ports of the demo profile (80 to 8080)
it answers, with the gateway chart's own (80 to 80) connections are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.gateways.endpoints import GatewayEndpoint, ServicePort
from nksmesh.domain.kube.objects import Manifest


def check_listeners(objects: Sequence[Manifest], gateways: Sequence[GatewayEndpoint]) -> Iterator[Finding]:
    """Find Gateway objects whose ports nobody can connect to, and those that select no gateway.

    Args:
        objects: The Gateway objects of all namespaces.
        gateways: The gateways of the mesh.
    """
    for manifest in objects:
        selected = [gateway for gateway in gateways if _selects(manifest, gateway)]
        for gateway in selected:
            yield from (
                _closed(manifest, number, gateway) for number in _numbers(manifest) if _is_closed(number, gateway)
            )
        if not selected and all(gateway.pod_labels for gateway in gateways):
            yield _selects_none(manifest, gateways)


def check_served(objects: Iterable[Manifest], gateway: GatewayEndpoint, port: ServicePort) -> Iterator[Finding]:
    """Find a port of a gateway that no Gateway object has a server for: the proxy does not listen there."""
    numbers = {number for manifest in objects if _selects(manifest, gateway) for number in _numbers(manifest)}
    if not any(_is_served(port, number, gateway) for number in numbers):
        yield Finding(
            id="gateway.no-listener",
            level=Level.WARNING,
            subject=gateway.name,
            message=f"no Gateway object has a server for port {port.port} of Service {gateway.service}: its proxies "
            "do not listen there, and connections are refused",
            hint=f"Create a Gateway whose selector matches the pods of {gateway.name}, with port.number {port.port}.",
        )


def _selects(manifest: Manifest, gateway: GatewayEndpoint) -> bool:
    """Tell whether a Gateway object selects a gateway's pods; an empty selector selects all."""
    wanted = (manifest.get("spec") or {}).get("selector") or {}
    return any(all(labels.get(key) == text for key, text in wanted.items()) for labels in gateway.pod_labels)


def _numbers(manifest: Manifest) -> list[int]:
    servers = (manifest.get("spec") or {}).get("servers") or ()
    return list(
        dict.fromkeys(int(number) for server in servers if (number := (server.get("port") or {}).get("number")))
    )


def _is_served(port: ServicePort, number: int, gateway: GatewayEndpoint) -> bool:
    """Tell whether a server of a Gateway object listens where a Service's port leads; a named target is taken to."""
    listening = next((entry.target for entry in gateway.ports if entry.port == number), number)
    return port.target == listening or (isinstance(port.target, str) and isinstance(listening, int))


def _is_closed(number: int, gateway: GatewayEndpoint) -> bool:
    return not any(_is_served(port, number, gateway) for port in gateway.ports)


def _closed(manifest: Manifest, number: int, gateway: GatewayEndpoint) -> Finding:
    ports = ", ".join(f"{port.port} to {port.target}" for port in gateway.ports)
    meant = next((port.port for port in gateway.ports if number % 1000 == port.port), 0)  # 8080 is 80, 8443 is 443
    instead = f"{meant}" if meant else "one of the Service's ports"
    return Finding(
        id="gateway.closed-port",
        level=Level.WARNING,
        subject=_named(manifest),
        message=f"Gateway {_named(manifest)} has port.number {number}, which no port of Service {gateway.service} "
        f"leads to ({ports}): connections are refused",
        hint=f"Set port.number to {instead}. Or install {gateway.name} with the ports of the demo profile "
        "(80 to 8080, 443 to 8443).",
    )


def _selects_none(manifest: Manifest, gateways: Iterable[GatewayEndpoint]) -> Finding:
    selector = (manifest.get("spec") or {}).get("selector") or {}
    wanted = ", ".join(f"{key}={text}" for key, text in selector.items())
    there = "; ".join(
        f"{gateway.name}: {', '.join(f'{key}={labels[key]}' for key in ('app', 'istio') if key in labels)}"
        for gateway in gateways
        for labels in gateway.pod_labels[:1]
    )
    return Finding(
        id="gateway.selects-none",
        level=Level.WARNING,
        subject=_named(manifest),
        message=f"Gateway {_named(manifest)} selects no gateway of the mesh ({wanted}): nothing listens for it",
        hint=f"Set its selector to labels of a gateway's pods ({there or 'none are running'}).",
    )


def _named(manifest: Manifest) -> str:
    return f"{manifest['metadata'].get('namespace', '')}/{manifest['metadata']['name']}"
