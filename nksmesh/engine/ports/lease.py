"""The right to write: the port."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from nksmesh.domain.mesh.holding import Holder


class Lease(Protocol):
    """The right to write."""

    @property
    def holder(self) -> Holder | None:
        """This run, while it holds the mesh."""

    def held(self, command: str) -> AbstractAsyncContextManager[Holder | None]:
        """Hold the mesh for the time of a block."""
