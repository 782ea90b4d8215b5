"""What earlier runs resolved: the port."""

from __future__ import annotations

from typing import Protocol

from nksmesh.domain.mesh.record import Record


class Records(Protocol):
    """What earlier runs resolved."""

    async def read_all(self) -> dict[str, Record]:
        """Return every record, by the control plane's namespace."""

    async def write(self, record: Record) -> None:
        """Keep a record."""

    async def delete(self, namespace: str) -> None:
        """Forget a mesh."""
