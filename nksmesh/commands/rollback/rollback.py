"""Rollback: the mesh as it was before some runs, from the Helm revisions of then, proved as an install is.

CRDs stay, and so do namespaces. What was removed with its Helm history does not come back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar

from nksmesh.commands.rollback.plan import ROLLBACK_STEP, RollbackPlan, plan_rollback, plan_way_back
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import MERGED, fields_of
from nksmesh.domain.common.errors import (
    HeldError,
    InterruptedRunError,
    MeshError,
    RollbackError,
    RolledBackError,
)
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import Run
from nksmesh.domain.plan.rollback_target import way_back_of
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.pending import pending_of
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runs.history import history_for, recorded_run
from nksmesh.engine.runs.recording import begun_on, run_of
from nksmesh.engine.runtime import Runtime

E = TypeVar("E", bound=MeshError)


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """What a rollback did.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
    """

    plan: RollbackPlan = field(metadata=MERGED)
    agreed: bool = True
    progress: Progress = field(default_factory=Progress, metadata=MERGED)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know though nothing failed."""
        return (*self.plan.warnings, *self.progress.warnings) if self.agreed else ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, with the plan's warnings before the run's."""
        return fields_of(self) | {"warnings": self.warnings}


async def rollback(shown: RollbackPlan, runtime: Runtime, *, to_run: int | None) -> RollbackResult:
    """Follow a plan that was shown and agreed to.

    What Helm has begun and not ended is shown in the plan and, after it was given the time to end, rolled back too.

    Raises:
        RollbackError: A step failed; what was done is noted on it.
        ClusterError: The mesh is not as it was when the plan was shown, or Helm reaches another cluster.
        HeldError: Another run holds the mesh.
    """

    def again() -> Awaitable[RollbackPlan]:
        return plan_rollback(runtime, shown.plan.mesh.namespace, to_run=to_run)

    pending = pending_of(shown.plan)
    async with agreed(shown, again, runtime, command="rollback", step=ROLLBACK_STEP, pending=pending) as plan:
        await runtime.helm.prove_same_cluster(await runtime.cluster.uid())
        try:
            return await _carry_out(plan, runtime)
        except (HeldError, InterruptedRunError):
            raise
        except MeshError as failure:
            error = RollbackError(
                f"the rollback failed: {failure.message}",
                hint=f"{failure.hint} Then run nksmesh rollback again, or nksmesh install to continue.",
                detail=failure.detail,
            )
            raise _with_notes(error, failure) from failure


async def undo(failure: MeshError, run: Run, runtime: Runtime) -> NoReturn:
    """Take back a run that has just failed, while it still holds the mesh.

    Args:
        run: The run as it was begun.

    Raises:
        RolledBackError: It was taken back.
        RollbackError: That failed, too.
    """
    runtime.listener(
        Event(step=ROLLBACK_STEP, kind=EventKind.STARTED, message=f"rolling back after a failure: {failure.message}")
    )
    try:
        history = await history_for(runtime.cluster, run.namespace)
        way = way_back_of(history.of(run.number) or run)
        plan = await plan_way_back(way, run.namespace, runtime.cluster, runtime.helm)
        for words in plan.lost:
            runtime.listener(Event(step=ROLLBACK_STEP, kind=EventKind.WARNING, message=words))
        await _carry_out(plan, runtime)
    except (HeldError, InterruptedRunError) as stopped:
        raise _with_notes(stopped, failure) from failure
    except MeshError as second:
        failed = RollbackError(
            f"{failure.message}; and the rollback failed, too: {second.message}",
            hint=f"{second.hint} Then run nksmesh rollback to undo, or nksmesh {run.command} to resume.",
            detail="\n".join(filter(None, (failure.detail, second.detail))),
        )
        raise _with_notes(_with_notes(failed, failure), second) from failure
    error = RolledBackError(
        f"{failure.message}; the mesh was rolled back to its state before this run",
        hint=failure.hint,
        detail=failure.detail,
    )
    raise _with_notes(error, failure) from failure


async def _carry_out(shown: RollbackPlan, runtime: Runtime) -> RollbackResult:
    """Take the steps, keep the run, and put the record of before back. The mesh is held."""
    plan, way = shown.plan, shown.way
    run = replace(await run_of(plan, "rollback", runtime.cluster), undoes=way.numbers)
    async with recorded_run(runtime.cluster, run) as recorder:
        if plan.recorded is not None:
            writing = {change.release for change in plan.releases.values() if change.reasons} | set(plan.unwanted)
            await runtime.cluster.records.write(begun_on(plan.recorded, writing))
        progress = await Executor(plan.steps, runtime, releases=plan.manifests).run()
        written = await runtime.cluster.storage.revisions(way.targets)
        recorder.left(written)
        if way.before is None:
            await runtime.cluster.records.delete(plan.mesh.namespace)
        else:
            record = replace(_restored(way.before, way.targets, written), helm_driver=runtime.cluster.storage.driver)
            await runtime.cluster.records.write(record)
    return RollbackResult(plan=shown, progress=progress)


def _restored(
    before: Record, targets: Mapping[Release, int], written: Mapping[tuple[str, str], tuple[int, str]]
) -> Record:
    """Return the record of before with the Helm revisions of now; what did not come back is left out."""
    releases = []
    for entry in before.releases:
        key = entry.release.key
        if entry.release not in targets:
            releases.append(entry)
        elif key in written:
            same = entry.helm_revision == targets[entry.release]
            releases.append(replace(entry, helm_revision=written[key][0]) if same else entry)
    return replace(before, releases=tuple(releases))


def _with_notes(error: E, of: MeshError) -> E:
    for note in getattr(of, "__notes__", ()):
        error.add_note(note)
    return error
