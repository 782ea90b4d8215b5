"""Trouble from before a run: what Kubernetes would try again minutes later is tried again at once, one time.

An image that was not pulled, and a pod that a quota or a policy did not let be made, may have been mended since. Until
Kubernetes tries again, which may take a quarter of an hour, its objects show the old error: a run that believed it
would fail for what is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from nksmesh.domain.diagnosis import RETRIED, Cause, Trouble
from nksmesh.domain.errors import ClusterError
from nksmesh.domain.events import EventKind
from nksmesh.domain.objects import ObjectRef
from nksmesh.domain.plan import Plan
from nksmesh.workflows import observation
from nksmesh.workflows.ports import Live, Objects

_TRIED_AGAIN: Final = "nksmesh.io/tried-again"
"""The annotation whose change has a ReplicaSet's controller try again; nobody reads it."""


def troubled_before(plan: Plan, live: Live) -> frozenset[str]:
    """Name the pods and ReplicaSets of a plan's releases that are in trouble before the plan begins."""
    return frozenset(
        trouble.subject
        for change in plan.releases.values()
        for trouble in observation.troubles_of(live, change.release, change.manifests)
        if trouble.cause in RETRIED
    )


async def try_again(
    troubles: Callable[[], list[Trouble]], live: Live, objects: Objects, tell: Callable[[EventKind, str], None]
) -> None:
    """Have what is in trouble from before the run tried again, each once; goes on until it is cancelled.

    Args:
        troubles: Lists what keeps the newest pods from being ready.
        live: What follows them.
        objects: The cluster's objects.
        tell: Told of each that was tried again.
    """
    tried: set[str] = set()
    while True:
        version = live.version
        for trouble in troubles():
            if trouble.from_before and trouble.subject not in tried:
                tried.add(trouble.subject)
                try:
                    words = await _once(trouble, objects)
                except ClusterError:
                    continue  # it is not ours to change: the wait beside this one tells of the trouble itself
                tell(EventKind.WARNING, words)
        await live.changed(version)


async def _once(trouble: Trouble, objects: Objects) -> str:
    """Have one thing tried again; say what was done."""
    kind, _, path = trouble.subject.partition(" ")
    namespace, _, name = path.partition("/")
    if trouble.cause in {Cause.IMAGE, Cause.PULL}:
        # A pod of a ReplicaSet, which makes another: its image is pulled at once.
        await objects.delete(ObjectRef("v1", kind, name, namespace))
        return f"deleted pod {name}: its image was not pulled before this run, and another pod tries again at once"
    stamp = {"metadata": {"annotations": {_TRIED_AGAIN: datetime.now(UTC).isoformat()}}}
    await objects.merge(stamp, ObjectRef("apps/v1", kind, name, namespace))
    return f"{trouble.subject} was made to try again: its pods were refused before this run"
