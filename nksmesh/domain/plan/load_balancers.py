"""What a plan says of load balancers: settings without effect, private keys in the open, and addresses that go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.kube.readiness import addresses_of
from nksmesh.domain.mesh.load_balancer import (
    INTERNAL,
    KEEP_ADDRESS,
    NAME,
    NETWORK,
    NHN,
    PASSING,
    PROTOCOL,
    PROXY_CONFIG,
    PROXY_PROTOCOL,
    SUBNET,
    is_tls_key,
    of_listener,
)
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import LayerKind, dotted, overrides_of

_STATUS_PORT: Final = 15021
"""The gateway's own health port, which no listener of Istio's serves."""

_PLACES: Final[Mapping[str, str]] = {INTERNAL: "internal", NETWORK: "network_id", SUBNET: "subnet_id"}
"""The annotations that say where the address is, with their keys in mesh.yaml."""


class AddressFate(StrEnum):
    """What becomes of a load balancer's address when its Service goes."""

    DELETED = "deleted"
    KEPT = "kept"
    INTERNAL = "internal"

    def sentence(self, service: object, addresses: Iterable[str]) -> str:
        """Say it of a Service and its addresses."""
        named = f"{', '.join(addresses)} of {service}"
        return {
            AddressFate.DELETED: f"the public address {named} is deleted with the Service (keep_address is not set)",
            AddressFate.KEPT: f"the public address {named} stays in the project",
            AddressFate.INTERNAL: f"the internal address {named} is released",
        }[self]


def fate_of(service: Manifest) -> AddressFate:
    """Tell what becomes of a Service's address when it goes.

    NHN Cloud deletes a floating IP that the load balancer was given with it, unless ``keep-floatingip`` is true; one
    that the user made, and named in ``loadBalancerIP``, stays.
    """
    said = _annotations(service)
    if said.get(INTERNAL) == "true":
        return AddressFate.INTERNAL
    kept = said.get(KEEP_ADDRESS) == "true" or (service.get("spec") or {}).get("loadBalancerIP")
    return AddressFate.KEPT if kept else AddressFate.DELETED


def check_load_balancers(changes: Mapping[str, ReleaseChange]) -> tuple[Finding, ...]:
    """Judge the load balancers of renders, without a cluster.

    Returns:
        A failure for each private key in an annotation; a warning for each setting that has no effect, that values
        set otherwise, or that only one side of a connection has.
    """
    meshwide = any(
        _speaks_proxy_protocol((manifest.get("data") or {}).get("mesh"))
        for change in changes.values()
        for manifest in change.manifests
        if change.release.component == ISTIOD.name and manifest.get("kind") == "ConfigMap"
    )
    findings: list[Finding] = []
    for change in changes.values():
        findings += _tls_keys(change)
        findings += _overridden(change)
        for service in services_in(change):
            findings += _without_effect(change, service)
            findings += _one_sided(change, service, meshwide=meshwide)
    return tuple(findings)


def services_in(change: ReleaseChange) -> tuple[Manifest, ...]:
    """Return the Services that a release renders to."""
    return tuple(manifest for manifest in change.manifests if manifest.get("kind") == "Service")


def check_live_service(live: Manifest, planned: Manifest, namespace: str) -> tuple[Finding, ...]:
    """Compare a live Service with what is planned: what a change cannot reach, and when the address is another one.

    Args:
        namespace: Where the release is.
    """
    if not _balanced(live) or not addresses_of(live):
        return ()
    ref = ref_of(planned, namespace)
    if not _balanced(planned):
        return leaving_service(live, ref, "it is no longer a LoadBalancer")
    return (*_fixed_settings(live, planned, ref), *_new_address(live, planned, ref))


def leaving_service(live: Manifest, ref: ObjectRef, why: str) -> tuple[Finding, ...]:
    """Say what becomes of the address of a Service that goes; nothing where it has none.

    Args:
        why: Why it goes.
    """
    addresses = addresses_of(live)
    if not addresses or not _balanced(live):
        return ()
    fate = fate_of(live)
    hint = "To keep the address, first set keep_address: true in its load_balancer and run nksmesh install."
    return (
        Finding(
            id="balancer.released-address",
            level=Level.WARNING,
            subject=str(ref),
            message=f"{why}: {fate.sentence(ref, addresses)}",
            hint=hint if fate is AddressFate.DELETED else "",
        ),
    )


def _tls_keys(change: ReleaseChange) -> Iterator[Finding]:
    """Refuse private keys in annotations, of values first: they tell which layer to correct."""
    said = [(path, layer) for path, value, layer in change.composed.leaves() if value and is_tls_key(path[-1])]
    in_values = {path[-1] for path, _ in said}
    places = [f"{layer} sets {dotted(path)} of {change.release.name}" for path, layer in said]
    places += [
        f"{ref_of(manifest, change.release.namespace)} has the annotation {name}"
        for manifest in change.manifests
        for name, text in _annotations(manifest).items()
        if text and is_tls_key(name) and name not in in_values
    ]
    for place in places:
        yield Finding(
            id="balancer.tls-key",
            subject=change.release.name,
            message=f"{place}: a private key in an annotation, which everyone who may read the Service can read",
            hint="Put the certificate into NHN Certificate Manager, remove the annotation, and set "
            "certificate_manager_name for the port in listeners of load_balancer.",
            error=ConfigError,
        )


def _overridden(change: ReleaseChange) -> Iterator[Finding]:
    for override in overrides_of(change.layers, LayerKind.LOAD_BALANCER):
        yield Finding(
            id="balancer.overridden",
            level=Level.WARNING,
            subject=change.release.name,
            message=f"{change.release.name}: {dotted(override.path)} is {override.value}, set by {override.layer}, "
            f"where load_balancer has {override.wanted}",
            hint="Keep one of the two.",
        )


def _without_effect(change: ReleaseChange, service: Manifest) -> Iterator[Finding]:
    """Find settings of a Service that is no LoadBalancer, and of ports that it does not have."""
    ref, kind = ref_of(service, change.release.namespace), (service.get("spec") or {}).get("type", "ClusterIP")
    if not _balanced(service):
        if any(layer.kind is LayerKind.LOAD_BALANCER for layer in change.layers):
            yield Finding(
                id="balancer.no-effect",
                level=Level.WARNING,
                subject=str(ref),
                message=f"{ref} is of type {kind}: load_balancer has no effect",
                hint="Set service.type to LoadBalancer, or remove load_balancer.",
            )
        return
    ports = {str(port) for port in _ports(service)}
    for port in dict.fromkeys(map(_port_of, _annotations(service))):
        if port and port not in ports:
            yield Finding(
                id="balancer.no-effect",
                level=Level.WARNING,
                subject=str(ref),
                message=f"{ref} has no TCP port {port}: the settings of that listener have no effect",
                hint=f"Its ports are {', '.join(sorted(ports, key=int))}. Correct it, or add it to service.ports.",
            )


def _one_sided(change: ReleaseChange, service: Manifest, *, meshwide: bool) -> Iterator[Finding]:
    """Find proxy protocol that only the load balancer speaks, or only the proxies: every request would fail."""
    if not _balanced(service):
        return
    templates = (_annotations(pod_template(manifest)) for manifest in change.manifests)
    proxies = meshwide or any(_speaks_proxy_protocol(said.get(PROXY_CONFIG)) for said in templates)
    passing = [port for port in _ports(service) if _setting(service, PROTOCOL, port, "TCP") in PASSING]
    ports = [port for port in passing if port != _STATUS_PORT]
    speaking = [port for port in ports if _setting(service, PROXY_PROTOCOL, port, "false") == "true"]
    silent = [port for port in ports if port not in speaking]
    wrong, side, other = (silent, "proxies", "load balancer") if proxies else (speaking, "load balancer", "proxies")
    if wrong:
        ref = ref_of(service, change.release.namespace)
        yield Finding(
            id="balancer.one-sided-proxy-protocol",
            level=Level.WARNING,
            subject=str(ref),
            message=f"{ref}: on port {', '.join(map(str, wrong))} the {side} will speak proxy protocol and the {other} "
            "will not, so requests fail",
            hint="Set proxy_protocol in load_balancer: it sets both sides. If an EnvoyFilter sets the proxies' side, "
            "this is correct.",
        )


def _fixed_settings(live: Manifest, planned: Manifest, ref: ObjectRef) -> Iterator[Finding]:
    """Find settings that a load balancer takes when it is made, and never again."""
    changed = [
        f"the protocol of listener {port} becomes {new} (now {old})"
        for port in _ports(planned)
        if port in _ports(live)
        and (old := _setting(live, PROTOCOL, port, "TCP")) != (new := _setting(planned, PROTOCOL, port, "TCP"))
    ]
    old, new = (_annotations(service).get(NAME, "") for service in (live, planned))
    if old != new:
        changed.append(f"the name of the load balancer becomes {new or 'the default'} (now {old or 'the default'})")
    for change in changed:
        yield Finding(
            id="balancer.fixed-setting",
            level=Level.WARNING,
            subject=str(ref),
            message=f"{ref}: {change}, which takes effect only on a new Service",
            hint=f"Run kubectl delete service {ref.name} -n {ref.namespace}, then nksmesh install again: "
            f"{fate_of(live).sentence(ref.name, addresses_of(live))}.",
        )


def _new_address(live: Manifest, planned: Manifest, ref: ObjectRef) -> Iterator[Finding]:
    """Find what makes a load balancer's address another one."""
    addresses = addresses_of(live)
    reasons = []
    for annotation, key in _PLACES.items():
        default = "false" if annotation == INTERNAL else ""
        old, new = (_annotations(service).get(annotation) or default for service in (live, planned))
        if old != new:
            reasons.append(f"{key} becomes {new or 'the default'} (now {old or 'the default'})")
    old, new = ((service.get("spec") or {}).get("loadBalancerIP") or "" for service in (live, planned))
    if old != new and new not in addresses:
        reasons.append(f"address becomes {new or 'unset'} (now {old or 'unset'})")
    if reasons:
        yield Finding(
            id="balancer.new-address",
            level=Level.WARNING,
            subject=str(ref),
            message=f"{ref} gets another address than {', '.join(addresses)}: {', '.join(reasons)}",
            hint="Change the DNS records and firewall rules that name the address.",
        )


def _annotations(manifest: Manifest) -> Mapping[str, Any]:
    return (manifest.get("metadata") or {}).get("annotations") or {}


def _balanced(service: Manifest) -> bool:
    return (service.get("spec") or {}).get("type") == "LoadBalancer"


def _ports(service: Manifest) -> list[int]:
    """List a Service's TCP ports."""
    ports = (service.get("spec") or {}).get("ports") or ()
    return [int(port["port"]) for port in ports if port.get("protocol", "TCP") == "TCP"]


def _port_of(annotation: str) -> str:
    """Return the port of an annotation that is for one TCP listener alone; empty for any other."""
    listener, _, name = annotation.partition(".")
    port = listener.removeprefix("TCP-")
    return port if port != listener and port.isdecimal() and NHN in name else ""


def _setting(service: Manifest, annotation: str, port: int, default: str) -> str:
    """Read what holds for a listener: its own setting, or that of all."""
    said = _annotations(service)
    return str(said.get(of_listener(annotation, port)) or said.get(annotation) or default)


def _speaks_proxy_protocol(settings: object) -> bool:
    """Tell whether a text of proxy settings turns proxy protocol on; its keys have two spellings."""
    return isinstance(settings, str) and any(name in settings for name in ("proxyProtocol", "proxy_protocol"))
