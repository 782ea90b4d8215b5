"""What a step of a plan works with, and what has come of the plan so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import HIDDEN, fields_of, named, rounded
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.diagnosis import Trouble
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import Readiness
from nksmesh.domain.kube.restarts import Restart, RestartResult
from nksmesh.domain.plan.plan import Phase, ReleaseChange, Step
from nksmesh.engine import observation
from nksmesh.engine.executor.retries import Before, try_again
from nksmesh.engine.ports import Cluster, Helm
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import Wait, wait_until_ready

S_co = TypeVar("S_co", bound=Step, covariant=True)


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """How a step ended.

    Attributes:
        message: What was proved, or what was done.
        seconds: How long it took, from its needs being met.
    """

    step: Step = field(metadata=HIDDEN)
    message: str
    seconds: float = field(metadata=rounded(3))

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: of the step its name and its action."""
        return {"name": self.step.name, "action": self.step.action, **fields_of(self)}


@dataclass(kw_only=True)
class Progress:
    """What has come of a plan so far: kept while it runs, so that a run that ends early can say it.

    Attributes:
        outcomes: The steps that are done, in the order they ended.
        addresses: For each gateway's name, its LoadBalancer's addresses.
        warnings: What a reader should know though nothing failed.
        staying: What of a removed release stays, and why, in words.
        restarts: What came of the users' workloads that were to be restarted.
    """

    outcomes: list[StepOutcome] = field(default_factory=list, metadata=named("done"))
    begun: list[Step] = field(default_factory=list, metadata=HIDDEN)
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list, metadata=HIDDEN)
    staying: list[str] = field(default_factory=list, metadata=HIDDEN)
    restarts: list[Restart] = field(default_factory=list, metadata=HIDDEN)

    @property
    def restarted(self) -> RestartResult:
        """What came of the users' workloads, to be judged."""
        return RestartResult(restarts=tuple(self.restarts))

    def told(self, steps: Iterable[Step]) -> str:
        """Say what was done and what was not; nothing of quiet steps."""
        done = {outcome.step.name for outcome in self.outcomes}
        begun = {step.name for step in self.begun}
        names = [step.name for step in steps if not step.quiet]
        parts = (
            ("done", [name for name in names if name in done]),
            ("begun", [name for name in names if name in begun - done]),
            ("not begun", [name for name in names if name not in begun | done]),
        )
        return "; ".join(f"{word}: {', '.join(some)}" for word, some in parts if some)


@dataclass(frozen=True, kw_only=True)
class StepContext(Generic[S_co]):
    """One step at work.

    Attributes:
        runtime: Its listener keeps the warnings; the live view follows the mesh's namespaces already.
        reached: Called with each phase that the step has come to before its end.
        before: What was wrong before the plan began.
    """

    step: S_co
    runtime: Runtime
    progress: Progress
    reached: Callable[[Phase], None]
    before: Before = field(default_factory=Before)

    @property
    def cluster(self) -> Cluster:
        """The cluster that the step writes to."""
        return self.runtime.cluster

    @property
    def helm(self) -> Helm:
        """The Helm that the step writes with."""
        return self.runtime.helm

    def tell(self, kind: EventKind, message: str) -> None:
        """Say what happens to the step; a warning is the run's, too."""
        self.runtime.listener(Event(step=self.step.name, kind=kind, message=message))

    async def until_ready(
        self, judge: Callable[[], Readiness], release: Release | None = None, manifests: Collection[Manifest] = ()
    ) -> str:
        """Wait for a judge to say ready; with a release and what it renders to, its pods' troubles are watched, too.

        Raises:
            NotReadyError: It cannot become ready, or its time is over.
        """
        live = self.cluster.live
        if release:
            await live.follow(observation.queries_of(release, manifests))

        def troubles() -> list[Trouble]:
            return self.before.troubles_of(live, release, manifests) if release else []

        subject = release.name if release else ""
        wait = Wait(step=self.step.name, judge=judge, troubles=troubles, subject=subject)
        trying = asyncio.create_task(try_again(troubles, live, self.cluster.objects, self.tell))
        try:
            return await wait_until_ready(
                wait, live, self.cluster.objects, waits=self.runtime.waits, listener=self.runtime.listener
            )
        finally:
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)

    async def look_at_workloads(self, change: ReleaseChange) -> None:
        """Take what was written and has pods into the view: its watch events may still be on the way."""
        refs = observation.workloads_of(change.release, change.manifests)
        for ref, found in (await self.cluster.objects.get_all(refs)).items():
            if found is not None:
                self.cluster.live.put(observation.query_for(ref), found)
