"""Who calls a Service, and which of them a policy would cut off."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.workloads import is_injected
from nksmesh.domain.traffic.envoy import EndpointCounts
from nksmesh.domain.traffic.surroundings import Surroundings, labels_of, without_proxies

CONNECTIONS: Final = ("cat", "/proc/net/tcp", "/proc/net/tcp6")
"""A command that lists a pod's TCP connections; the kernel's own files, in every container that has ``cat``."""

INBOUND_PORT: Final = 15006
"""Where a sidecar takes what comes into its pod: what others connect to is redirected there."""

ALLOW: Final = "ALLOW"
STRICT: Final = "STRICT"

_MOST_NAMES: Final = 8
_ESTABLISHED: Final = "01"
_ROW: Final = re.compile(r"\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):[0-9A-F]{4} ([0-9A-F]{2}) ")
_WORD: Final = 8
_PRINCIPAL: Final = "cluster.local/ns/{}/sa/{}"


@dataclass(frozen=True, kw_only=True, order=True)
class Caller:
    """A pod with a proxy, which may call the Service.

    Attributes:
        account: Its service account: its identity is made of it and the namespace.
    """

    namespace: str
    pod: str
    account: str

    @property
    def identity(self) -> str:
        """Its identity as AuthorizationPolicies name it, in the trust domain ``cluster.local``."""
        return _PRINCIPAL.format(self.namespace, self.account)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}"


def callers_among(pods: Iterable[Manifest]) -> tuple[Caller, ...]:
    """Return the running pods that have a proxy, gateways included."""
    return tuple(
        Caller(
            namespace=str(pod["metadata"]["namespace"]),
            pod=str(pod["metadata"]["name"]),
            account=str((pod.get("spec") or {}).get("serviceAccountName") or "default"),
        )
        for pod in pods
        if is_injected(pod) and (pod.get("status") or {}).get("phase") == "Running"
    )


def calls(counted: EndpointCounts) -> bool:
    """Tell whether a caller has called the Service since its proxy started."""
    return any(counts.rq_total or counts.cx_total or counts.cx_active for counts in counted.values())


def peers_in(text: str, port: int = INBOUND_PORT) -> frozenset[str]:
    """Read from ``/proc/net/tcp`` and ``tcp6`` the addresses that are connected to a local port.

    The kernel writes an address as hexadecimal words of four bytes in the machine's order, which is little-endian on
    every architecture that Istio's images are for.
    """
    return frozenset(
        _address(found[3])
        for line in text.splitlines()
        if (found := _ROW.match(line)) and found[4] == _ESTABLISHED and int(found[2], 16) == port
    )


def _address(words: str) -> str:
    raw = b"".join(bytes.fromhex(words[at : at + _WORD])[::-1] for at in range(0, len(words), _WORD))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def turns_strict(manifests: Iterable[Manifest]) -> bool:
    """Tell whether objects refuse plain text."""
    return any(
        manifest["kind"] == "PeerAuthentication" and manifest["spec"].get("mtls", {}).get("mode") == STRICT
        for manifest in manifests
    )


def allowed_by(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Return the identities that objects allow, when these deny all others; none where they deny nobody."""
    return tuple(
        str(principal)
        for manifest in manifests
        if manifest["kind"] == "AuthorizationPolicy" and manifest["spec"].get("action", ALLOW) == ALLOW
        for rule in manifest["spec"].get("rules") or ()
        for origin in rule.get("from") or ()
        for principal in (origin.get("source") or {}).get("principals") or ()
    )


def allows_already(around: Surroundings) -> bool:
    """Tell whether another ALLOW policy is about the subject's pods: then all that it does not name are cut off."""
    mine = {manifest["metadata"]["name"] for manifest in around.made}
    wanted = around.subject.selector
    for manifest in around.objects:
        metadata, spec = manifest["metadata"], manifest.get("spec") or {}
        if manifest["kind"] != "AuthorizationPolicy" or metadata.get("namespace") != around.namespace:
            continue
        labels: Mapping[str, Any] = (spec.get("selector") or {}).get("matchLabels") or {}
        if metadata["name"] not in mine and spec.get("action", ALLOW) == ALLOW and labels.items() <= wanted.items():
            return True
    return False


def check_allowed(around: Surroundings, calling: Iterable[Caller], identities: Iterable[str]) -> Iterator[Finding]:
    """Name the callers that a first ALLOW policy cuts off: a warning.

    Args:
        calling: The pods whose proxies have called the Service.
        identities: Who is allowed, as AuthorizationPolicies write it.
    """
    allowed = tuple(identities)
    cut = sorted({caller for caller in calling if not _among(caller.identity, allowed)})
    if cut:
        accounts = sorted({f"{caller.namespace}/{caller.account}" for caller in cut})
        yield Finding(
            id="traffic.cut-off-callers",
            level=Level.WARNING,
            message=f"{counted(len(cut), 'pod that has called', 'pods that have called')} {around.subject} "
            f"would get 403: {first_few(cut, _MOST_NAMES)}",
            hint=f"Allow them, too, if they may call it: from={','.join(accounts)}",
        )


def check_plain_text(around: Surroundings, connected: Iterable[str]) -> Iterator[Finding]:
    """Name the callers that STRICT cuts off: pods without a proxy that are connected now, and those that may call.

    Args:
        connected: The addresses that are connected to the subject's proxies.
    """
    addresses = frozenset(connected)
    without = without_proxies(around.pods)
    open_now = [_named(pod) for pod in without if (pod.get("status") or {}).get("podIP") in addresses]
    if open_now:
        pods = counted(len(open_now), "pod without a proxy is", "pods without a proxy are")
        yield Finding(
            id="traffic.cut-off-callers",
            level=Level.WARNING,
            message=f"{pods} connected to {around.subject}, and would be refused: {first_few(open_now, _MOST_NAMES)}",
            hint="Give them a proxy first, or keep mode=PERMISSIVE.",
        )
    near = [_named(pod) for pod in without if pod["metadata"].get("namespace") == around.namespace]
    rest = [name for name in near if name not in open_now]
    if rest:
        pods = counted(len(rest), "pod has", "pods have")
        yield Finding(
            id="traffic.plain-text-pods",
            level=Level.WARNING,
            message=f"{pods} no proxy in namespace {around.namespace} and could no longer call {around.subject}: "
            f"{first_few(rest, _MOST_NAMES)}",
            hint="Give them a proxy first if they call it.",
        )


def version_by_address(pods: Iterable[Manifest]) -> dict[str, str]:
    """Return the version of each pod, by its IP."""
    return {
        str(address): str(labels_of(pod).get("version") or "")
        for pod in pods
        if (address := (pod.get("status") or {}).get("podIP"))
    }


def _named(pod: Manifest) -> str:
    return f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"


def _among(identity: str, allowed: Iterable[str]) -> bool:
    return any(identity == name or (name.endswith("*") and identity.startswith(name[:-1])) for name in allowed)
