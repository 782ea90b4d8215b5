"""Where a gateway is reached, as the NKS guide computes it: the load balancer's address, or a node and its port."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final

from nksmesh.domain.common.addresses import address_of
from nksmesh.domain.common.data import HIDDEN, named
from nksmesh.domain.common.errors import ConfigError, NotReadyError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import addresses_of, is_ready

HTTP: Final = "http2"
HTTPS: Final = "https"

_NUMBERS: Final[Mapping[str, int]] = {HTTP: 80, HTTPS: 443}
"""The port of a Service that gives it another name."""

_QUOTA: Final = re.compile(r"quota|limit.*exceeded|exceeds?.*limit", re.IGNORECASE)
_FLOATING: Final = re.compile(r"floating ?ip|loadBalancerIP", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ServicePort:
    """A port of a Service.

    Attributes:
        target: The pods' port; a name where the Service names it.
        node_port: The port on every node; 0 where it has none.
    """

    name: str
    port: int
    target: int | str
    node_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where one port of a gateway is reached.

    Attributes:
        by_node: It is a node's, and not the load balancer's.
    """

    host: str
    port: int
    by_node: bool

    def __str__(self) -> str:
        address = address_of(self.host)
        return f"[{self.host}]:{self.port}" if isinstance(address, IPv6Address) else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class GatewayEndpoint:
    """A gateway of a mesh.

    Attributes:
        name: Its Helm release.
        service: ``NAMESPACE/NAME`` of its Service.
        kind: The Service's type.
        addresses: The load balancer's addresses, host names too.
        node: The IP address of a node that runs one of its pods; a ready one where there is one.
        pod_labels: The labels of its pods, by which Gateway objects select it.
    """

    name: str
    service: str
    kind: str = field(metadata=named("type"))
    addresses: tuple[str, ...]
    node: str
    ports: tuple[ServicePort, ...]
    pod_labels: tuple[Mapping[str, str], ...] = field(default=(), metadata=HIDDEN)

    def port(self, name: str) -> ServicePort | None:
        """Return a port by its name; ``http2`` and ``https`` are 80 and 443 where they have another one."""
        named_so = next((port for port in self.ports if port.name == name), None)
        return named_so or next((port for port in self.ports if port.port == _NUMBERS.get(name)), None)

    def address(self, name: str, *, by_node: bool = True) -> Address | None:
        """Return where a port is reached: the load balancer's address, or a node's; None where nowhere.

        Args:
            by_node: A node's will do where there is no load balancer's.
        """
        port = self.port(name)
        if port is None:
            return None
        if self.addresses:
            return Address(host=self.addresses[0], port=port.port, by_node=False)
        return self.node_address(name) if by_node else None

    def node_address(self, name: str) -> Address | None:
        """Return where a port is reached on a node; None where it is not."""
        port = self.port(name)
        there = port is not None and port.node_port and self.node
        return Address(host=self.node, port=port.node_port, by_node=True) if port and there else None


def endpoint_of(name: str, service: Manifest, pods: Sequence[Manifest]) -> GatewayEndpoint:
    """Describe a gateway.

    Args:
        name: Its Helm release.
        service: The Service as it is now.
        pods: Its pods.
    """
    spec, metadata = service.get("spec") or {}, service["metadata"]
    hosts = [ip for pod in sorted(pods, key=is_ready, reverse=True) if (ip := (pod.get("status") or {}).get("hostIP"))]
    return GatewayEndpoint(
        name=name,
        service=f"{metadata.get('namespace', '')}/{metadata['name']}",
        kind=str(spec.get("type", "")),
        addresses=addresses_of(service),
        node=str(next(iter(hosts), "")),
        ports=tuple(
            ServicePort(
                name=str(port.get("name", "")),
                port=int(port["port"]),
                target=port.get("targetPort", port["port"]),
                node_port=int(port.get("nodePort") or 0),
            )
            for port in spec.get("ports") or ()
        ),
        pod_labels=tuple(pod["metadata"].get("labels") or {} for pod in pods),
    )


def choose_gateway(found: Iterable[GatewayEndpoint], name: str) -> GatewayEndpoint | Finding:
    """Choose the gateway that is meant: the one of that name, or the only one that is reached from outside.

    Args:
        name: What the user named; empty where nothing.
    """
    gateways = {gateway.name: gateway for gateway in found}
    outside = [gateway for gateway in gateways.values() if gateway.kind != "ClusterIP"]
    if name in gateways:
        return gateways[name]
    if not name and len(outside) == 1:
        return outside[0]
    if name or not outside:
        known = ", ".join(gateways) or "none"
        missing = f"there is no gateway {name!r}" if name else "the mesh has no gateway that is reached from outside"
        hint = f"The gateways of the mesh are: {known}. Run nksmesh gateway list to see them."
        return Finding(id="gateway.missing", message=missing, hint=hint, error=ConfigError)
    names = ", ".join(gateway.name for gateway in outside)
    return Finding(
        id="gateway.several",
        message=f"the mesh has several gateways: {names}",
        hint=f"Name one of them: nksmesh gateway url --gateway {outside[0].name}.",
        error=ConfigError,
    )


def why_no_address(gateway: GatewayEndpoint, service: Manifest, port: str, events: Sequence[str]) -> Finding:
    """Say why a gateway cannot be reached at a port, and what helps.

    Args:
        service: Its Service.
        port: The port's name.
        events: What the Service's Warning events say, oldest first.
    """
    if gateway.port(port) is None:
        names = ", ".join(entry.name for entry in gateway.ports)
        return Finding(
            id="gateway.missing-port",
            message=f"Service {gateway.service} has no port {port}",
            hint=f"Its ports are {names}: pass --port NAME.",
            error=ConfigError,
        )
    if gateway.kind != "LoadBalancer":
        return Finding(
            id="gateway.not-exposed",
            message=f"Service {gateway.service} is of type {gateway.kind}, which has no address outside of the cluster",
            hint=f"Set its type: nksmesh install --set {gateway.name}:service.type=LoadBalancer.",
            error=ConfigError,
        )
    said = f": {events[-1]}" if events else ""
    return Finding(
        id="gateway.no-address",
        message=f"the load balancer of Service {gateway.service} has no address yet{said}",
        hint=_what_helps(gateway, service, events),
        error=NotReadyError,
    )


def _what_helps(gateway: GatewayEndpoint, service: Manifest, events: Sequence[str]) -> str:
    """Say what helps a load balancer to its address; the floating IP of ``loadBalancerIP`` must be free (NKS guide)."""
    words, fixed = events[-1] if events else "", (service.get("spec") or {}).get("loadBalancerIP")
    if _QUOTA.search(words):
        return "Raise the project's quota of load balancers or floating IPs in the console, or delete an unused one."
    if fixed and _FLOATING.search(words):
        return f"{fixed} must be a floating IP of this project that nothing uses: check it in the console."
    if events:
        return f"Run kubectl describe service -n {' '.join(gateway.service.split('/', 1))} to see all its events."
    return "NHN Cloud takes up to 4 minutes: pass --wait 4m. Or pass --node-port for the address of a node."
