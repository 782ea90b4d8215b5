"""Reading where a cluster is, where its API server's host does not tell."""

from __future__ import annotations

from typing import Final

from nksmesh.domain.common.findings import Finding
from nksmesh.domain.mesh.location import (
    ZONE_LABEL,
    check_location,
    check_registry,
    check_support,
    zones_may_tell,
)
from nksmesh.domain.mesh.ncr import region_code
from nksmesh.domain.mesh.versions import minor_of
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import ClusterState, MeshRequest

_MOST_NODES: Final = 100
"""A cluster is in one region: some of its nodes tell as much as all."""


async def read_zones(request: MeshRequest, cluster: Cluster) -> tuple[str, ...]:
    """Read the nodes' zones where only they can tell the region, and a registry of NKS or of NCR may be meant.

    Returns:
        The zones of some of the nodes; none where they are not needed, or may not be read.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses otherwise than by the user's rights.
    """
    options, environment = request.options, request.environment
    own_hub = options.hub or (environment.hub if environment and not options.region else "")
    if (own_hub and not region_code(own_hub)) or not zones_may_tell(
        cluster.host, request.catalog.regions, request.catalog.nks
    ):
        return ()
    nodes = await where_allowed(cluster.objects.list("v1", "Node", metadata_only=True, most=_MOST_NODES), ())
    return tuple(str((node["metadata"].get("labels") or {}).get(ZONE_LABEL) or "") for node in nodes)


def about_the_place(request: MeshRequest, found: ClusterState) -> tuple[Finding, ...]:
    """Say where region or registry are not the cluster's, and until when NKS supports the cluster's Kubernetes."""
    regions, nks, mesh = request.catalog.regions, request.catalog.nks, found.resolved.mesh
    chosen = "" if mesh.own_hub else mesh.region
    return (
        *check_location(found.location, chosen, regions, nks, by_default=found.resolved.region_read),
        *(check_registry(found.location, mesh.hub, regions, nks) if mesh.own_hub else ()),
        *check_support(found.location, minor_of(found.kubernetes), nks, request.today),
    )
