"""Doing the steps of a plan: every step begins as soon as what it needs is there, and ends when it is proved."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import InterruptedRunError, MeshError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.plan import Action, Phase, Step
from nksmesh.engine.executor import gateways, object_steps, step_handlers  # noqa: F401 - they register handlers
from nksmesh.engine.executor.registry import handler_of
from nksmesh.engine.executor.retries import Before
from nksmesh.engine.executor.step_context import Progress, StepContext, StepOutcome
from nksmesh.engine.runtime import Runtime


class Executor:
    """One run of the steps of one plan.

    Args:
        steps: The steps, in an order that respects every need.
        runtime: The live view of its cluster follows the mesh's namespaces already.
        releases: The releases that are written, with their manifests: what is in trouble already is tried again.
        progress: Takes in what comes of the steps; a new one where it is None.
        account: A run that ends early says which steps were done; else its command does, in its own words.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        runtime: Runtime,
        *,
        releases: Iterable[tuple[Release, Collection[Manifest]]] = (),
        progress: Progress | None = None,
        account: bool = True,
    ) -> None:
        """Prepare; ``run`` begins."""
        _check_names(steps)
        self._steps = steps
        self._runtime = replace(runtime, listener=self._hear)
        self._listener = runtime.listener
        self._reached = {(step.name, phase): asyncio.Event() for step in steps for phase in Phase}
        self._before = Before.of(releases, runtime.cluster.live)
        self._account = account
        self._finishing: dict[str, asyncio.Event] = {}
        self.progress = progress or Progress()

    async def run(self) -> Progress:
        """Do every step.

        Raises:
            MeshError: A step failed; what was done is noted on it. Steps that write are let finish first.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for step in self._steps:
                    group.create_task(self._run(step))
        except BaseExceptionGroup as failures:
            failure = _first(failures)
            if words := self._told():
                failure.add_note(words)
            raise failure from None
        except asyncio.CancelledError as stopped:
            raise InterruptedRunError(
                str(stopped.args[0]) if stopped.args else "stopped before the end",
                hint="Run the same command again to resume.",
                detail=self._told(),
            ) from None
        return self.progress

    def _told(self) -> str:
        return self.progress.told(self._steps) if self._account else ""

    def _hear(self, event: Event) -> None:
        """Pass an event on, and keep the warnings: they are the whole run's, too."""
        if event.kind is EventKind.WARNING:
            self.progress.warnings.append(f"{event.step}: {event.message}")
        self._listener(event)

    async def _run(self, step: Step) -> None:
        for need in step.needs:
            await self._reached[need.step, need.phase].wait()
        work = StepContext(
            step=step,
            runtime=self._runtime,
            progress=self.progress,
            reached=lambda phase: self._reach(step, phase),
            before=self._before,
        )
        clock = asyncio.get_running_loop().time
        began = clock()
        self.progress.begun.append(step)
        if step.finishes:
            self._finishing[step.name] = asyncio.Event()
        kept = step.action is Action.KEEP
        tell = (lambda *_: None) if step.quiet else work.tell
        if not kept:
            tell(EventKind.STARTED, step.action.value)
        try:
            message = await handler_of(step)(work)
        except MeshError as exc:
            tell(EventKind.FAILED, exc.message)
            self._finished(step)
            for event in tuple(self._finishing.values()):
                await event.wait()
            raise
        self.progress.outcomes.append(StepOutcome(step=step, message=message, seconds=clock() - began))
        tell(EventKind.KEPT if kept else EventKind.DONE, message)
        for phase in Phase:
            self._reach(step, phase)

    def _reach(self, step: Step, phase: Phase) -> None:
        self._reached[step.name, phase].set()
        if phase is Phase.WRITTEN:
            self._finished(step)

    def _finished(self, step: Step) -> None:
        if (event := self._finishing.pop(step.name, None)) is not None:
            event.set()


def _check_names(steps: Iterable[Step]) -> None:
    """Make sure that names tell the steps apart: what needs one of two would begin when the other is done."""
    names = Counter(step.name for step in steps)
    if several := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"a plan has several steps of the same name: {', '.join(several)}")


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure that came first: the others are steps that were stopped because of it."""
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
