"""charts.lock: the port."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from nksmesh.domain.charts.lock import Lock


class LockFile(Protocol):
    """charts.lock."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self) -> Lock:
        """What it says."""

    def write(self, lock: Lock) -> None:
        """Replace it."""
