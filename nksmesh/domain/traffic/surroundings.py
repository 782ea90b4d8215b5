"""What is around a Service in the cluster: its versions, its proxies, and who else routes requests to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.kube.objects import Manifest, ObjectRef, lives, ref_of
from nksmesh.domain.kube.readiness import is_ready
from nksmesh.domain.kube.workloads import is_injected
from nksmesh.domain.traffic.objects import DESTINATION_RULE, VERSION_LABEL, VIRTUAL_SERVICE, Subject
from nksmesh.domain.traffic.recipes import NAMESPACE, TRAFFIC_OF

REGION_LABEL: Final = "topology.kubernetes.io/region"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
MESH_GATEWAY: Final = "mesh"
"""What a VirtualService's ``gateways`` calls the sidecars; the only one where it names none."""

CLUSTER_DOMAIN: Final = "svc.cluster.local"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a Service: the pods whose label ``version`` has its name.

    Attributes:
        ready: How many of its pods are ready.
    """

    name: str
    pods: int
    ready: int


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the cluster has around what recipes are applied to.

    Attributes:
        service: The name that was asked for; ``*`` for the namespace.
        namespaced: The Namespace; None where it does not exist.
        found: The Service; None where it does not exist, or none was asked for.
        pods: The pods of the namespace, or of all.
        objects: The objects of Istio's that recipes may make, of every namespace.
        nodes: The cluster's nodes; empty where no recipe asks for them.
    """

    service: str
    namespace: str
    namespaced: Manifest | None
    found: Manifest | None
    pods: tuple[Manifest, ...] = field(repr=False)
    objects: tuple[Manifest, ...] = field(default=(), repr=False)
    nodes: tuple[Manifest, ...] = field(default=(), repr=False)

    @property
    def subject(self) -> Subject:
        """What recipes are applied to."""
        spec = (self.found or {}).get("spec") or {}
        return Subject(
            service=self.service,
            namespace=self.namespace,
            selector=spec.get("selector") or {},
            versions=tuple(version.name for version in self.versions),
        )

    @property
    def own_pods(self) -> tuple[Manifest, ...]:
        """The living pods that the Service selects, or all of the namespace."""
        wanted = ((self.found or {}).get("spec") or {}).get("selector") or {}
        if not wanted and self.service != NAMESPACE:
            return ()
        return tuple(
            pod
            for pod in self.pods
            if lives(pod)
            and pod["metadata"].get("namespace") == self.namespace
            and wanted.items() <= labels_of(pod).items()
        )

    @property
    def versions(self) -> tuple[Version, ...]:
        """The Service's versions, by name."""
        pods: dict[str, list[Manifest]] = {}
        for pod in self.own_pods:
            if version := labels_of(pod).get(VERSION_LABEL):
                pods.setdefault(str(version), []).append(pod)
        return tuple(
            Version(name=name, pods=len(some), ready=sum(map(is_ready, some))) for name, some in sorted(pods.items())
        )

    @property
    def made(self) -> tuple[Manifest, ...]:
        """The objects that recipes made for the subject, VirtualServices first: the order of rules is in these."""
        mine = [
            manifest
            for manifest in self.objects
            if manifest["metadata"].get("namespace") == self.namespace
            and labels_of(manifest).get(TRAFFIC_OF) == self.subject.label
        ]
        return tuple(sorted(mine, key=lambda manifest: manifest["kind"] != VIRTUAL_SERVICE))

    def live(self, ref: ObjectRef) -> Manifest | None:
        """Return an object that recipes may make, or None where there is none."""
        return next((manifest for manifest in self.objects if ref_of(manifest) == ref), None)

    @property
    def rivals(self) -> tuple[Manifest, ...]:
        """VirtualServices and DestinationRules of other names that are about the same host, for the sidecars."""
        return tuple(
            manifest
            for manifest in self.objects
            if manifest["kind"] in {VIRTUAL_SERVICE, DESTINATION_RULE}
            and (manifest["metadata"].get("namespace"), manifest["metadata"]["name"]) != (self.namespace, self.service)
            and MESH_GATEWAY in ((manifest.get("spec") or {}).get("gateways") or [MESH_GATEWAY])
            and any(self.means(host, manifest) for host in hosts_of(manifest))
        )

    @property
    def gateway_routes(self) -> tuple[tuple[Manifest, str], ...]:
        """VirtualServices that send requests of gateways to the Service, each with its first gateway."""
        found = []
        for manifest in self.objects:
            gateways = [name for name in (manifest.get("spec") or {}).get("gateways") or () if name != MESH_GATEWAY]
            if manifest["kind"] == VIRTUAL_SERVICE and gateways:
                hosts = [str(target.get("host", "")) for target in _targets(manifest)]
                if any(self.means(host, manifest) for host in hosts):
                    found.append((manifest, str(gateways[0])))
        return tuple(found)

    def means(self, host: str, manifest: Manifest) -> bool:
        """Tell whether a host in an object is the Service; a short name is of the object's own namespace."""
        if self.service == NAMESPACE:
            return False
        home = str(manifest["metadata"].get("namespace", ""))
        full = f"{self.service}.{self.namespace}"
        named = {full, f"{full}.svc", f"{full}.{CLUSTER_DOMAIN}", *([self.service] if home == self.namespace else ())}
        return host in named


def labels_of(manifest: Manifest) -> Mapping[str, Any]:
    """Return an object's labels."""
    found: Mapping[str, Any] = manifest["metadata"].get("labels") or {}
    return found


def hosts_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the hosts that a VirtualService or a DestinationRule is about."""
    spec = manifest.get("spec") or {}
    return tuple(map(str, spec.get("hosts") or [spec.get("host", "")]))


def without_proxies(pods: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Return the living pods that have no proxy: what they send is plain text, and has no identity."""
    return tuple(pod for pod in pods if lives(pod) and not is_injected(pod))


def _targets(virtual_service: Manifest) -> Iterable[Mapping[str, Any]]:
    spec = virtual_service.get("spec") or {}
    for protocol in ("http", "tls", "tcp"):
        for route in spec.get(protocol) or ():
            for target in route.get("route") or ():
                yield target.get("destination") or {}
