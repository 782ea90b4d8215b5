"""Where charts come from, and the file that pins them: the ports."""

from __future__ import annotations

from collections.abc import Iterable
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

    def packed(self, chart: Chart) -> PackedChart:
        """Read the archive of a chart that was fetched."""


class LockFile(Protocol):
    """charts.lock."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self) -> Lock:
        """What it says."""

    def write(self, lock: Lock) -> None:
        """Replace it."""
