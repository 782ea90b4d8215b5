"""What earlier runs did: the port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nksmesh.domain.plan.history import History


class Histories(Protocol):
    """What earlier runs did."""

    async def read_all(self) -> dict[str, History]:
        """Return every history, by the control plane's namespace."""

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        """Change a mesh's history."""

    async def delete(self, namespace: str) -> None:
        """Forget the runs of a mesh."""
