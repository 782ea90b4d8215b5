"""Processes of this machine: the port."""

from __future__ import annotations

from typing import Protocol

from nksmesh.domain.mesh.holding import Holder


class Processes(Protocol):
    """Processes of this machine."""

    def here(self, holder: Holder) -> bool:
        """Tell whether a holder ran on this machine."""

    def helms_of(self, holder: Holder) -> tuple[int, ...]:
        """Return the Helms that a run of this machine has at work."""

    async def wait_for_helm(self, processes: tuple[int, ...]) -> None:
        """Wait until processes have ended."""
