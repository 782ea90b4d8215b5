"""Releases that Helm has begun to write and not ended: whose they are, and when they may be cleared.

A dead run's of our own are cleared at once: it recorded what it was about to write. Anybody else's are left alone
until the user says otherwise: from here nobody can tell whether that Helm is still at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import ReleaseError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.ports import Processes

SETTLE_SECONDS: Final = 20.0
"""How long a pending release is left to whoever may still be at work on it, from Helm's last word on it."""


def pending_of(plan: Plan) -> tuple[InstalledRelease, ...]:
    """List the releases of a plan that Helm has begun to write and not ended."""
    return tuple(release for change in plan.releases.values() if (release := change.left_pending) is not None)


async def settle(
    pending: Iterable[InstalledRelease], processes: Processes, dead: Holder | None, *, step: str, listener: Listener
) -> bool:
    """Let whoever may still be at work on pending releases end.

    Args:
        dead: The run that the mesh was taken over from, if it was.

    Returns:
        Whether anything was waited for: what was read before may have changed.
    """
    if dead is not None and processes.here(dead):  # a Helm outlives the run that started it, and is let finish
        helms = processes.helms_of(dead)
        if helms:
            listener(
                Event(step=step, kind=EventKind.WAITING, message=f"a Helm process that {dead} left running to end")
            )
            await processes.wait_for_helm(helms)
        return bool(helms)
    # another machine's clock may be ahead of this one's
    left = {release.name: SETTLE_SECONDS - max(0.0, _age(release) or 0.0) for release in pending}
    left = {name: seconds for name, seconds in left.items() if seconds > 0}
    if not left:
        return False
    words = f"{', '.join(left)} to settle: Helm may still be changing it"
    listener(Event(step=step, kind=EventKind.WAITING, message=words))
    await asyncio.sleep(max(left.values()))  # what is waited for is that nothing happens
    return True


def check_pending(plan: Plan, *, ours: Iterable[InstalledRelease] = ()) -> tuple[Finding, ...]:
    """Find what somebody else's Helm has begun, a failure: it may still be at work, however long ago it began.

    Args:
        ours: What is known to be left by a dead run of ours, or is to be cleared on the user's word.
    """
    known = {_mark(release) for release in ours}
    found = []
    for change in plan.releases.values():
        left = change.left_pending
        recorded = plan.recorded.of_release(change.release) if plan.recorded else None
        # A run of ours records what it is about to write before Helm writes it.
        if left is None or _mark(left) in known or (recorded is not None and not recorded.helm_revision):
            continue
        age = _age(left)
        finding = Finding(
            id="helm.pending-release",
            subject=left.name,
            message=f"release {left.name} is {left.status}: another Helm process is changing it, or was killed",
            hint="Wait until it ends. If it was killed, run the same command again with --yes to clear the release.",
            detail=f"Helm revision {left.helm_revision} of {left.name} in {left.namespace}"
            + (f" started {spoken(age)} ago" if age is not None else ""),
            error=ReleaseError,
        )
        found.append(finding)
    return tuple(found)


def _mark(release: InstalledRelease) -> tuple[str, str, int, str]:
    return release.namespace, release.name, release.helm_revision, release.status


def _age(release: InstalledRelease) -> float | None:
    """Return how many seconds ago Helm last said something of a release, where that is known."""
    return None if release.updated is None else (datetime.now(UTC) - release.updated).total_seconds()
