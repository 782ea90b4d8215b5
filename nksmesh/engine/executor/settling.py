"""What a run that died left at work: a Helm outlives it, and is let finish."""

from __future__ import annotations

from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.mesh.holding import Holder
from nksmesh.engine.ports import Processes


async def let_helm_end(dead: Holder, processes: Processes, *, step: str, listener: Listener) -> bool:
    """Wait for the Helms that a run of this machine left at work; tell whether there were any."""
    helms = processes.helms_of(dead)
    if helms:
        listener(Event(step=step, kind=EventKind.WAITING, message=f"a Helm that {dead} left at work to end"))
        await processes.wait_for_helm(helms)
    return bool(helms)
