"""What Helm has stored: the port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release


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

    async def standing(self, releases: Iterable[Release]) -> dict[tuple[str, str], int]:
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
