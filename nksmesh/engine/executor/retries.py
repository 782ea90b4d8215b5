"""Trouble from before a run: what Kubernetes would try again minutes later is tried again at once, one time.

An image that was not pulled, and a pod that a quota or a policy did not let be made, may have been mended since. Until
Kubernetes tries again, which may take a quarter of an hour, its objects show the old error: a run that believed it
would fail for what is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.diagnosis import RETRIED, Cause, Trouble
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.engine import observation
from nksmesh.engine.ports import Live, Objects

_TRIED_AGAIN: Final = "nksmesh.io/tried-again"
"""The annotation whose change has a controller of pods try again; nobody reads it."""


@dataclass(frozen=True)
class Before:
    """What was wrong with releases before a run.

    Attributes:
        troubled: The pods and their controllers that were in trouble.
        over: Refusals of controllers that were in none: events stay for an hour, whatever has come since.
    """

    troubled: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()

    @classmethod
    def of(cls, releases: Iterable[tuple[Release, Collection[Manifest]]], live: Live) -> Before:
        """Look at releases and their manifests before anything is written."""
        some = tuple(releases)
        troubled = frozenset(
            trouble.subject
            for release, manifests in some
            for trouble in observation.troubles_of(live, release, manifests)
            if trouble.cause in RETRIED
        )
        refusals = (observation.refusals_in(live, release, manifests) for release, manifests in some)
        calm = (events for refused in refusals for subject, events in refused.items() if subject not in troubled)
        return cls(troubled=troubled, over=frozenset(chain.from_iterable(calm)))

    def troubles_of(self, live: Live, release: Release, manifests: Collection[Manifest]) -> list[Trouble]:
        """List what keeps a release's newest pods from being ready now, and tell what was there before."""
        found = observation.troubles_of(live, release, manifests, over=self.over)
        return [replace(trouble, from_before=trouble.subject in self.troubled) for trouble in found]


async def try_again(
    troubles: Callable[[], list[Trouble]], live: Live, objects: Objects, tell: Callable[[EventKind, str], None]
) -> None:
    """Have what is in trouble from before the run tried again, each once; goes on until it is cancelled.

    Args:
        troubles: Lists what keeps the newest pods from being ready.
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
        return f"deleted pod {name}: its image could not be pulled before this run, and a new pod retries at once"
    stamp = {"metadata": {"annotations": {_TRIED_AGAIN: datetime.now(UTC).isoformat()}}}
    await objects.merge(stamp, ObjectRef("apps/v1", kind, name, namespace))
    return f"{trouble.subject} was restarted to retry at once: its pods were refused before this run"
