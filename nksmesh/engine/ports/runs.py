"""What nksmesh keeps in a cluster of its runs: the port of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import History


class Lease(Protocol):
    """The right to write."""

    @property
    def holder(self) -> Holder | None:
        """This run, while it holds the mesh."""

    def held(self, command: str) -> AbstractAsyncContextManager[Holder | None]:
        """Hold the mesh for the time of a block."""


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
