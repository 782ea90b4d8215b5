"""Where charts come from, and the file that pins them: the ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.events import Listener

if TYPE_CHECKING:
    from nksmesh.domain.images.mirroring import PackedChart


class Charts(Protocol):
    """Where charts come from."""

    async def fetch(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = ...
    ) -> dict[ChartRef, Chart]:
        """Fetch, check and unpack charts, all at once."""

    def cached(self, ref: ChartRef, lock: Lock) -> bool:
        """Whether a fetch of this chart would need no network."""

    def keep(self, ref: ChartRef, archive: bytes, digest: str, *, known: bool) -> None:
        """Keep an archive under its digest, and on request as what its source has."""

    def packed(self, chart: Chart) -> PackedChart:
        """Read the archive of a chart that was fetched."""


class Archives(Charts, Protocol):
    """The same, and the archives themselves."""

    @property
    def cache(self) -> Path:
        """The folder that archives are kept in."""

    async def fetch(
        self,
        refs: Iterable[ChartRef],
        *,
        lock: Lock,
        locked: bool = False,
        fresh: bool = False,
        listener: Listener = ...,
    ) -> dict[ChartRef, Chart]:
        """Fetch, check and unpack charts, all at once; from their sources again where that is asked for."""

    async def archives(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = ...
    ) -> dict[ChartRef, bytes]:
        """Fetch and check charts, and return their archives."""

    def archives_in(self, folder: str) -> tuple[Path, Mapping[str, str]]:
        """Return a folder, and the digest of each archive in it by its file's name."""

    def digest_in_cache(self, digest: str) -> str:
        """Return the digest of the archive that the cache has under a digest; empty where it has none."""

    def write_archives(self, folder: Path, archives: Mapping[str, bytes]) -> Mapping[str, str]:
        """Write archives into a folder, which is made where it is not there, and return their digests."""


class LockFile(Protocol):
    """charts.lock."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self) -> Lock:
        """What it says."""

    def write(self, lock: Lock) -> None:
        """Replace it."""
