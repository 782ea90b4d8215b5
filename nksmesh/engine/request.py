"""What a command was asked for, and what the cluster shows before the mesh is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import OPTIONAL
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.mesh.catalog import Catalog, Environment
from nksmesh.domain.mesh.location import Location
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Keep, Record
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.resolve import Resolved
from nksmesh.domain.mesh.versions import VersionQuestion
from nksmesh.domain.mesh.way_out import judge_version
from nksmesh.domain.plan.pull_secrets import PullSecretOrder


@dataclass(frozen=True, kw_only=True)
class ReleaseScope:
    """What a run is about, where it is not about the whole mesh as it was recorded: a run about a canary.

    Everything else is install's: the plan, the lease, the gate, the proofs.

    Attributes:
        settings: What stands in the place of the record's settings.
        keep: How what it leaves is recorded.
        components: The components it is about; all of them where empty. Releases of others are left alone.
    """

    settings: Recorded = field(repr=False)
    keep: Keep = field(repr=False)
    components: frozenset[str] = frozenset()

    def of(self, resolved: Resolved) -> Resolved:
        """Leave of a mesh the releases that the run is about."""
        if not self.components:
            return resolved
        return replace(resolved, mesh=_only(resolved.mesh, self.components))


def _only(mesh: Mesh, components: frozenset[str]) -> Mesh:
    return replace(mesh, releases=tuple(release for release in mesh.releases if release.component in components))


@dataclass(frozen=True, kw_only=True)
class MeshRequest:
    """What a command was asked for, read and checked, before the cluster is looked at.

    Attributes:
        locked: Refuse charts that the lock does not pin.
        force_version: Go on with a version that is not supported.
        prune: Remove releases that the mesh no longer has.
        allow_version_change: The installed istiod may become another version: ``nksmesh upgrade`` alone says so.
        check_images: Look for the images of what changes in their registries, before anything is written.
        skipped_checks: The ids of the checks that the user leaves out before anything is written; None makes none.
        pull_secret: Make the pull secrets; None leaves them to the user.
        findings: What was found while it was read.
        offline: Ask nobody but the API server and the registry of the hub.
        later_versions: The versions that the same command goes on to, one after the other.
        scope: What the run is about, where it is about a canary.
        take_over: Objects that istioctl made become the mesh's: ``nksmesh adopt`` alone says so.
        today: The day of the run, which ends of support are held against.
    """

    options: Request
    catalog: Catalog = field(repr=False)
    environment: Environment | None = None
    lock: Lock = field(default_factory=Lock, repr=False)
    locked: bool = False
    force_version: bool = False
    prune: bool = False
    allow_version_change: bool = False
    check_images: bool = False
    skipped_checks: tuple[str, ...] | None = None
    pull_secret: PullSecretOrder | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    offline: bool = False
    later_versions: tuple[str, ...] = ()
    scope: ReleaseScope | None = None
    take_over: bool = False
    today: date | None = None

    def with_every_component(self) -> MeshRequest:
        """Ask for the same mesh with all optional components, whatever its environment or profile lists."""
        chosen = self.environment or Environment(name="", path="")
        return replace(self, environment=replace(chosen, components=OPTIONAL))

    def version_question(self, mesh: Mesh, kubernetes: str) -> VersionQuestion:
        """Ask whether a mesh's version is supported.

        Args:
            kubernetes: What the API server calls its version; empty without a cluster.
        """
        return VersionQuestion(
            version=mesh.version,
            kubernetes=kubernetes,
            region=self.catalog.regions.get(mesh.region),
            own_hub=mesh.own_hub,
            forced=self.force_version,
            forced_before=mesh.forced,
            nks=self.catalog.nks,
            today=self.today,
            verb="canary start" if self.scope else "upgrade" if self.allow_version_change else "install",
        )

    def judge_version(self, mesh: Mesh, kubernetes: str) -> tuple[Finding, ...]:
        """Judge a mesh's version by the catalog, its region and the cluster's version."""
        return judge_version(self.version_question(mesh, kubernetes), self.catalog.versions)


@dataclass(frozen=True, kw_only=True)
class ClusterState:
    """What a plan reads before it knows the mesh.

    Attributes:
        kubernetes: The cluster's version; empty without a cluster.
        record: The mesh's record, where its releases are still there.
        installed: What Helm has of the recorded releases, by (namespace, name).
    """

    resolved: Resolved
    kubernetes: str = ""
    record: Record | None = None
    location: Location = field(default_factory=Location)
    installed: Mapping[tuple[str, str], InstalledRelease] = field(default_factory=dict)
