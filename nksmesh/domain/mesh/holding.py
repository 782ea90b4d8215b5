"""Who holds the mesh: one run at a time writes to a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

LEASE_SECONDS: Final = 15
"""A holder that has not renewed its lease for this long has lost it."""

RENEW_SECONDS: Final = 4.0
"""How often a holder renews: three may fail before the lease is lost."""

WITHOUT_RENEWAL_SECONDS: Final = 4.0 * LEASE_SECONDS
"""A run that could not renew for this long ends: if it is the only one cut off, another may have the mesh by now."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A run that holds, or held, the mesh.

    Attributes:
        host: The machine it runs on.
        process: Its process id there.
        started: When that process started, in clock ticks since boot: a process id alone is given out again.
        boot: Which boot of which machine: two machines may have one name. Empty where it is not known.
        namespace: The process ids' own namespace: two containers of one machine count theirs apart.
        command: What it does: ``install``.
        helm: The process ids of the Helms it has at work.
    """

    host: str
    process: int
    started: int
    user: str
    command: str
    helm: tuple[int, ...] = ()
    boot: str = ""
    namespace: str = ""

    @property
    def identity(self) -> str:
        """The lease's holderIdentity."""
        where = f"/{self.boot}/{self.namespace}" if self.boot else ""
        return f"{self.user}@{self.host}/{self.process}/{self.started}{where}"

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.process}, {self.command})"


def seems_lapsed(renewed: datetime | None, now: datetime) -> bool:
    """Tell whether a lease renewed then may have run out now.

    Two machines' clocks are compared here, so it is no proof: whoever renewed may live by another clock. A renewal in
    our future, by more than a lease's time, is another clock's for certain, and tells nothing.
    """
    return renewed is None or abs((now - renewed).total_seconds()) > LEASE_SECONDS
