"""Services: which pods one sends to, and to which of their ports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.disruption import selects
from nksmesh.domain.kube.objects import Manifest, containers, lives
from nksmesh.domain.kube.readiness import is_ready


@dataclass(frozen=True, kw_only=True)
class ServicePort:
    """A TCP port of a Service.

    Attributes:
        target: The port of its pods, by number or by name.
    """

    name: str
    number: int
    target: int | str

    def in_pod(self, pod: Manifest) -> int | None:
        """Return the number of the port in a pod; None where the pod has no port of that name."""
        if isinstance(self.target, int):
            return self.target
        ports = (port for container in containers(pod) for port in container.get("ports") or ())
        return next((int(port["containerPort"]) for port in ports if port.get("name") == self.target), None)


def tcp_ports(service: Manifest) -> tuple[ServicePort, ...]:
    """List the TCP ports of a Service, in its order."""
    return tuple(
        ServicePort(
            name=str(port.get("name", "")), number=int(port["port"]), target=port.get("targetPort") or int(port["port"])
        )
        for port in (service.get("spec") or {}).get("ports") or ()
        if port.get("protocol", "TCP") == "TCP"
    )


def port_of(service: Manifest, wanted: str = "") -> ServicePort:
    """Choose a TCP port of a Service.

    Args:
        wanted: Its name or number; empty for the first one.

    Raises:
        ConfigError: The Service has no such port.
    """
    ports, name = tcp_ports(service), service["metadata"]["name"]
    found = [port for port in ports if wanted in {"", port.name, str(port.number)}]
    if not found:
        known = ", ".join(f"{port.number} ({port.name})" if port.name else str(port.number) for port in ports)
        raise ConfigError(
            f"Service {name} has no TCP port{f' {wanted!r}' if wanted else ''}",
            hint=f"Pass --service-port with one of its ports: {known}." if ports else "Name another Service.",
        )
    return found[0]


def selector_of(service: Manifest) -> dict[str, str]:
    """Return the labels that a Service selects its pods by; empty where it selects none itself."""
    return dict((service.get("spec") or {}).get("selector") or {})


def ready_pods(service: Manifest, pods: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Return the pods that a Service sends to: selected, alive and ready; those that became so first, first."""
    labels = selector_of(service)
    found = (
        pod
        for pod in pods
        if labels and selects({"matchLabels": labels}, pod["metadata"].get("labels") or {}) and lives(pod)
    )
    return tuple(sorted(filter(is_ready, found), key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))))
