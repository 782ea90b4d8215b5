"""istioctl on this machine, and where it comes from beside registries: the ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:  # every command imports the ports, and few know istioctl
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from nksmesh.domain.istioctl.archive import FetchedIstioctl, IstioctlArchive, Origin


class IstioctlCache(Protocol):
    """The archives that were fetched."""

    def whole(self, archive: IstioctlArchive, digest: str) -> FetchedIstioctl | None:
        """Find what an archive was unpacked to, if none of it has changed since."""

    async def add(
        self, archive: IstioctlArchive, origin: Origin, pull: Callable[[int], AsyncGenerator[bytes, None]]
    ) -> FetchedIstioctl:
        """Read an archive, from where an earlier run broke off, and unpack it."""

    async def add_file(self, archive: IstioctlArchive, origin: Origin, file: Path) -> FetchedIstioctl:
        """Unpack an archive that is a file."""

    def check(self, archive: IstioctlArchive, file: Path) -> None:
        """Make sure that a file is an archive that may be used."""


class IstioReleases(Protocol):
    """A server with the releases of Istio."""

    async def digest(self, archive: IstioctlArchive) -> str:
        """Read the published digest of an archive, ``sha256:<hex>``."""

    def pull(self, archive: IstioctlArchive, begun: int) -> AsyncGenerator[bytes, None]:
        """Read an archive in pieces, from a byte on."""


class Ended(Protocol):
    """A program that has ended."""

    @property
    def code(self) -> int:
        """Its exit code."""

    @property
    def out(self) -> bytes:
        """What it wrote to stdout."""

    @property
    def err(self) -> bytes:
        """What it wrote to stderr."""


class IstioctlProgram(Protocol):
    """An istioctl, and the cluster that it works on."""

    async def ask(self, arguments: Sequence[str]) -> Ended:
        """Run it to its end, and return what it said."""

    def become(self, arguments: Sequence[str]) -> NoReturn:
        """Go on as istioctl: its terminal, its signals and its exit code are this process's own."""
