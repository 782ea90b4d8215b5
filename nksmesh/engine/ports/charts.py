"""Where charts come from: the port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.events import Listener


class Charts(Protocol):
    """Where charts come from."""

    async def fetch(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = ...
    ) -> dict[ChartRef, Chart]:
        """Fetch, check and unpack charts, all at once."""

    def cached(self, ref: ChartRef, lock: Lock) -> bool:
        """Whether a fetch of this chart would need no network."""
