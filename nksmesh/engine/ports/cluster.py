"""One cluster, what nksmesh keeps in it of its runs, and what Helm has stored there: the ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import History
from nksmesh.engine.ports.objects import Live, Objects, Pods


class Lease(Protocol):
    """The right to write."""

    @property
    def holder(self) -> Holder | None:
        """This run, while it holds the mesh."""

    def held(self, command: str) -> AbstractAsyncContextManager[Holder | None]:
        """Hold the mesh for the time of a block."""

    async def exists(self) -> bool:
        """Tell whether anybody holds the mesh, or did so when it was killed."""


class Records(Protocol):
    """What earlier runs resolved."""

    async def read_all(self) -> dict[str, Record]:
        """Return every record, by the control plane's namespace."""

    async def write(self, record: Record) -> None:
        """Keep a record."""

    async def delete(self, namespace: str) -> None:
        """Forget a mesh."""


class Histories(Protocol):
    """What earlier runs did."""

    async def read_all(self) -> dict[str, History]:
        """Return every history, by the control plane's namespace."""

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        """Change a mesh's history."""

    async def delete(self, namespace: str) -> None:
        """Forget the runs of a mesh."""


class Storage(Protocol):
    """What Helm has stored."""

    @property
    def driver(self) -> str:
        """Helm's storage driver: ``secret`` or ``configmap``."""

    async def installed(
        self,
        releases: Iterable[Release] | None = None,
        *,
        namespace: str = "",
        unreadable: list[str] | None = None,
    ) -> dict[tuple[str, str], InstalledRelease]:
        """Return the newest Helm revision of releases, or of all (in a namespace), by (namespace, name)."""

    async def revisions(self, releases: Iterable[Release]) -> dict[tuple[str, str], tuple[int, str]]:
        """Return the newest Helm revision and status of releases, by (namespace, name)."""

    async def deployed(self, releases: Iterable[Release]) -> dict[tuple[str, str], int]:
        """Return the Helm revision that stands of releases, by (namespace, name)."""

    async def at(self, wanted: Mapping[Release, int]) -> dict[Release, InstalledRelease]:
        """Return what Helm has stored of some Helm revisions; those it no longer has are left out."""

    async def elsewhere(self, releases: Iterable[Release]) -> dict[tuple[str, str], InstalledRelease]:
        """Return those of some releases whose records lie in another namespace."""

    async def under_other_driver(self, releases: Iterable[Release]) -> frozenset[tuple[str, str]]:
        """Name those of some releases that Helm keeps with its other driver."""

    async def forget(self, release: InstalledRelease) -> None:
        """Remove one Helm revision's record."""

    async def replace_manifest(self, release: InstalledRelease, manifest: str) -> None:
        """Change what Helm has stored as a Helm revision's manifest."""


class Cluster(Protocol):
    """One cluster."""

    @property
    def objects(self) -> Objects:
        """Its objects."""

    @property
    def pods(self) -> Pods:
        """Its pods, seen from inside."""

    @property
    def live(self) -> Live:
        """A view of it, kept current."""

    @property
    def lease(self) -> Lease:
        """The right to write to it."""

    @property
    def records(self) -> Records:
        """What earlier runs resolved."""

    @property
    def histories(self) -> Histories:
        """What earlier runs did."""

    @property
    def account(self) -> str:
        """The user that the kubeconfig names."""

    @property
    def storage(self) -> Storage:
        """What Helm has stored in it."""

    @property
    def context(self) -> str:
        """The kubeconfig's context."""

    @property
    def host(self) -> str:
        """The API server's host name."""

    def credential_ends(self) -> datetime | None:
        """Tell when the user's credential ends; None where it does not say."""

    def certificate_ends(self, pem: str) -> datetime | None:
        """Tell when the first of some certificates ends; None where there is none."""

    async def version(self) -> str:
        """Ask for the Kubernetes version."""

    async def uid(self) -> str:
        """Return what identifies the cluster."""
