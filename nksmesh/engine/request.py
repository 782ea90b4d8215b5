"""What a command was asked for, and what the cluster shows before the mesh is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.mesh.catalog import Catalog, Environment
from nksmesh.domain.mesh.location import Location
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import Resolved
from nksmesh.engine.scope import ReleaseScope


@dataclass(frozen=True, kw_only=True)
class MeshRequest:
    """What a command was asked for, read and checked, before the cluster is looked at.

    Attributes:
        request: The options.
        catalog: Regions, versions, profiles.
        environment: The environment given with -e.
        lock: charts.lock.
        locked: Refuse charts that the lock does not pin.
        force_version: Go on with a version that is not supported.
        prune: Remove releases that the mesh no longer has.
        allow_version_change: The installed istiod may become another version: ``nksmesh upgrade`` alone says so.
        scope: What the run is about, where it is about a canary.
        take_over: Objects that istioctl made become the mesh's: ``nksmesh adopt`` alone says so.
        today: The day of the run, which ends of support are held against.
    """

    request: Request
    catalog: Catalog = field(repr=False)
    environment: Environment | None = None
    lock: Lock = field(default_factory=Lock, repr=False)
    locked: bool = False
    force_version: bool = False
    prune: bool = False
    allow_version_change: bool = False
    scope: ReleaseScope | None = None
    take_over: bool = False
    today: date | None = None


@dataclass(frozen=True, kw_only=True)
class ClusterState:
    """What a plan reads before it knows the mesh.

    Attributes:
        kubernetes: The cluster's version.
        record: The mesh's record, where its releases are still there.
        resolved: The mesh.
        location: Where the cluster is.
    """

    kubernetes: str
    record: Record | None
    resolved: Resolved
    location: Location = field(default_factory=Location)
