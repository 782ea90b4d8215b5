"""The load balancer of a gateway: keys of mesh.yaml, and the values of the gateway chart that they become.

The annotations are those of NKS's user guide (2026-02-20). Each of their values is a string.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.values.layers import Layer, LayerKind, Path, compose, merge, value_at

INTERNAL: Final = "service.beta.kubernetes.io/openstack-internal-load-balancer"
KEEP_ADDRESS: Final = "loadbalancer.openstack.org/keep-floatingip"
NETWORK: Final = "loadbalancer.openstack.org/network-id"
SUBNET: Final = "loadbalancer.openstack.org/subnet-id"
NHN: Final = "loadbalancer.nhncloud/"
NAME: Final = f"{NHN}loadbalancer-name"
PROTOCOL: Final = f"{NHN}listener-protocol"
PROXY_PROTOCOL: Final = f"{NHN}proxy-protocol"
TLS_KEY: Final = f"{NHN}listener-terminated-https-key"
"""The private key of a listener, in an annotation that whoever reads the Service can read."""

TERMINATED: Final = "TERMINATED_HTTPS"
PASSING: Final = frozenset({"TCP", "HTTPS"})
"""The protocols of listeners that can speak proxy protocol."""

PROXY_CONFIG: Final = "proxy.istio.io/config"
"""The annotation of a pod with the settings of its proxy, a YAML text."""

ENVOY_SIDE: Final[Mapping[str, Any]] = {"gatewayTopology": {"proxyProtocol": {}}}

ANNOTATIONS: Final[Mapping[Path, str]] = {
    ("internal",): INTERNAL,
    ("keep_address",): KEEP_ADDRESS,
    ("network_id",): NETWORK,
    ("subnet_id",): SUBNET,
    ("name",): NAME,
    ("type",): f"{NHN}loadbalancer-type",
    ("algorithm",): f"{NHN}pool-lb-method",
    ("session_persistence",): f"{NHN}pool-session-persistence",
    ("connection_limit",): f"{NHN}connection-limit",
    ("keepalive_timeout",): f"{NHN}keepalive-timeout",
    ("proxy_protocol",): PROXY_PROTOCOL,
    ("health", "type"): f"{NHN}healthmonitor-type",
    ("health", "path"): f"{NHN}healthmonitor-http-url",
    ("health", "port"): f"{NHN}healthmonitor-health-check-port",
    ("health", "interval"): f"{NHN}healthmonitor-delay",
    ("health", "timeout"): f"{NHN}healthmonitor-timeout",
    ("health", "retries"): f"{NHN}healthmonitor-max-retries",
}
"""The annotation of each key of ``load_balancer``; ``address`` is the Service's ``loadBalancerIP``."""

LISTENER_ANNOTATIONS: Final[Mapping[str, str]] = {
    "protocol": PROTOCOL,
    "certificate_manager_name": f"{NHN}listener-terminated-https-cert-manager-name",
    "tls_version": f"{NHN}listener-terminated-https-tls-version",
}
"""The annotation of each key of a listener, which ``of_listener`` gives its port."""

_INTERVAL: Final = 60
_TIMEOUT: Final = 30
"""Seconds: what the load balancer takes where nothing is said."""


def of_listener(annotation: str, port: int | str) -> str:
    """Return the form of an annotation that is for one listener alone."""
    return f"TCP-{port}.{annotation}"


def is_tls_key(annotation: str) -> bool:
    """Tell the annotation of a private key, of every listener or of one."""
    return annotation == TLS_KEY or annotation.endswith(f".{TLS_KEY}")


def load_balancer_values(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gateway chart's values for ``load_balancer`` of mesh.yaml, each a string."""
    there = ((name, value_at(said, key)) for key, name in ANNOTATIONS.items())
    annotations = {name: _text(value) for name, value in there if value is not None}
    for port, listener in said.get("listeners", {}).items():
        annotations |= {of_listener(LISTENER_ANNOTATIONS[key], port): _text(value) for key, value in listener.items()}
    service: dict[str, Any] = {"annotations": annotations} if annotations else {}
    if "address" in said:
        service["loadBalancerIP"] = said["address"]
    return {"service": service} if service else {}


def problems_of(said: Mapping[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Find what keys of ``load_balancer`` contradict each other: the key, what is wrong with it, and what to do."""
    health, listeners = said.get("health", {}), said.get("listeners", {})
    if said.get("internal") and "keep_address" in said:
        yield ("keep_address",), "has no effect with internal: true, which has no public address", "Remove one of them."
    interval, timeout = health.get("interval", _INTERVAL), health.get("timeout", _TIMEOUT)
    if timeout >= interval:
        key = "timeout" if "timeout" in health else "interval"
        yield (
            ("health", key),
            f"does not fit: the timeout ({timeout} s) must be shorter than the interval ({interval} s)",
            f"Set both; left out, interval is {_INTERVAL} and timeout is {_TIMEOUT}.",
        )
    if "path" in health and health.get("type", "TCP") == "TCP":
        yield ("health", "path"), "has no effect on a TCP check", "Add type: HTTP or type: HTTPS, or remove path."
    for port, listener in listeners.items():
        yield from _problems_of_listener(port, listener, proxy_protocol=said.get("proxy_protocol", False))


def _problems_of_listener(
    port: str, listener: Mapping[str, Any], *, proxy_protocol: bool
) -> Iterator[tuple[Path, str, str]]:
    place, protocol = ("listeners", port), listener.get("protocol", "TCP")
    if protocol == TERMINATED and "certificate_manager_name" not in listener:
        yield (
            place,
            f"lacks the key 'certificate_manager_name', which {TERMINATED} needs",
            "Add the certificate's name in NHN Certificate Manager.",
        )
    for key in ("certificate_manager_name", "tls_version"):
        if key in listener and protocol != TERMINATED:
            yield (*place, key), f"has no effect on a {protocol} listener", f"Add protocol: {TERMINATED}, or remove it."
    if proxy_protocol and protocol not in PASSING:
        yield (
            (*place, "protocol"),
            f"cannot be {protocol} with proxy_protocol: true",
            "Proxy protocol needs TCP or HTTPS listeners; the others send X-Forwarded-For.",
        )


def proxy_protocol_layer(layers: Iterable[Layer], read: Callable[[str], Mapping[str, Any]]) -> Layer | None:
    """Make the layer that lets a gateway's proxies speak proxy protocol, where ``load_balancer`` lets the other side.

    It is the strongest: the annotation is one text, and what the user has in it stays.

    Args:
        layers: The release's other layers, weakest first.
        read: Reads a YAML text that is a map.

    Raises:
        ConfigError: The annotation is no such text.
    """
    known = tuple(layers)
    composed = compose(known)
    asked = any(layer.kind is LayerKind.LOAD_BALANCER for layer in known)
    if not asked or value_at(composed.values, ("service", "annotations", PROXY_PROTOCOL)) != "true":
        return None
    path = ("podAnnotations", PROXY_CONFIG)
    text = value_at(composed.values, path)
    try:
        said = read(text) if text else {}
        merged = merge(said, merge(ENVOY_SIDE, _topology(said)))
    except (AttributeError, ConfigError, TypeError, ValueError) as problem:
        raise ConfigError(
            f"{', '.join(composed.layers_of(path))}: the pod annotation {PROXY_CONFIG} is not a map in YAML",
            hint="Correct it: proxy_protocol of load_balancer adds gatewayTopology.proxyProtocol to it.",
        ) from problem
    return Layer(
        name="load_balancer (proxy protocol)",
        values={"podAnnotations": {PROXY_CONFIG: json.dumps(merged, sort_keys=True)}},
        kind=LayerKind.MESH,
        ours=True,
    )


def _topology(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is already said of the gateway's topology; a null says nothing."""
    topology = {key: value for key, value in (said.get("gatewayTopology") or {}).items() if value is not None}
    return {"gatewayTopology": topology}


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
