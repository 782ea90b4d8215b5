"""Reading a mesh's gateways: their Services, pods and events, and the Gateway objects of all namespaces.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.charts.releases import GATEWAY
from nksmesh.domain.gateways.endpoints import GatewayEndpoint, endpoint_of
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.mesh import Network
from nksmesh.engine import observation
from nksmesh.engine.discovery import find_installation
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster, Helm, Live

GATEWAY_OBJECTS: Final = ("networking.istio.io/v1beta1", "Gateway")
"""Served by the CRDs of every Istio from 1.19 to 1.30."""


@dataclass(frozen=True, kw_only=True)
class SeenGateway:
    """A gateway, and what is followed of it."""

    name: str
    service: ObjectRef
    pods: tuple[Manifest, ...]

    def service_in(self, live: Live) -> Manifest:
        """Return its Service as it is now; without ports where it is gone."""
        found = live.get(self.service.kind, self.service.name, self.service.namespace)
        return found or {"metadata": {"name": self.service.name, "namespace": self.service.namespace}}

    def endpoint(self, live: Live) -> GatewayEndpoint:
        """Describe it as it is now."""
        return endpoint_of(self.name, self.service_in(live), self.pods)

    def events(self, live: Live) -> tuple[str, ...]:
        """Return what the Warning events of its Service say, oldest first."""
        events = observation.events_of(live, self.service_in(live))
        return tuple(str(event.get("message", "")) for event in events)


@dataclass(frozen=True, kw_only=True)
class Gateways:
    """The gateways of a mesh.

    Attributes:
        namespace: The control plane's namespace.
        network: The network of the mesh's record; public where there is none.
        objects: The Gateway objects of all namespaces; none where they may not be read.
    """

    namespace: str
    network: Network
    seen: tuple[SeenGateway, ...]
    objects: tuple[Manifest, ...]


async def read_gateways(cluster: Cluster, helm: Helm, namespace: str) -> Gateways:
    """Find the gateways of the mesh that is meant, and follow their Services, pods and events.

    Args:
        namespace: The control plane's namespace, or empty.
    """
    installation = await find_installation(cluster, namespace, without_record=True)
    manifests = {
        release: helm.parse(stored.manifest)
        for release, stored in installation.releases.items()
        if release.component == GATEWAY.name
    }
    queries = [query for release, some in manifests.items() for query in observation.queries_of(release, some)]
    objects, _ = await asyncio.gather(
        where_allowed(cluster.objects.list(*GATEWAY_OBJECTS), []), cluster.live.follow(queries)
    )
    record = installation.record
    return Gateways(
        namespace=installation.namespace,
        network=(record.settings.network if record else None) or Network.PUBLIC,
        seen=tuple(
            SeenGateway(
                name=release.name,
                service=service,
                pods=tuple(observation.pods_of(cluster.live, release, some)),
            )
            for release, some in manifests.items()
            for service in observation.services_of(release, some)
        ),
        objects=tuple(objects),
    )
