"""Install: plan, hold the mesh, make sure the plan still stands, apply, record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nksmesh.commands.rollback.rollback import undo
from nksmesh.domain.common.data import HIDDEN, MERGED
from nksmesh.domain.common.errors import HeldError, InterruptedRunError, MeshError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Level, refuse_failures
from nksmesh.domain.plan.history import TAKEN_BACK, Outcome, Run
from nksmesh.domain.plan.plan import Plan
from nksmesh.domain.plan.pull_secrets import PullSecretStep
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.pending import check_pending, pending_of, settle
from nksmesh.engine.executor.removal_proof import await_end
from nksmesh.engine.executor.retries import Before
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.planning import PLAN_STEP, make_plan
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runs.history import history_for, recorded_run
from nksmesh.engine.runs.recording import record_of, run_of
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class InstallResult:
    """What an install did.

    Attributes:
        dry_run: Nothing was done: the plan alone was wanted.
        agreed: The user was not asked, or said yes.
    """

    plan: Plan = field(metadata=MERGED)
    dry_run: bool = False
    agreed: bool = field(default=True, metadata=HIDDEN)
    progress: Progress = field(default_factory=Progress, metadata=MERGED)

    @property
    def makes_pull_secrets(self) -> bool:
        """Whether its plan writes pull secrets, for which a user is asked."""
        return any(step.changes for step in self.plan.steps if isinstance(step, PullSecretStep))


async def install(
    request: MeshRequest,
    runtime: Runtime,
    *,
    dry_run: bool,
    command: str = "install",
    rollback_on_failure: bool = False,
    clear_pending: bool = False,
    check: Callable[[Plan], None] = lambda _: None,
) -> InstallResult:
    """Bring a cluster to the mesh that a request describes, each component proved ready before what depends on it.

    Args:
        command: What the lease and the history call the run.
        rollback_on_failure: Roll back what the run did if one of its steps fails.
        clear_pending: Clear what another Helm than ours has begun and not ended.
        check: Raises where the plan, as it stands now that nobody else writes, is not to be followed.

    Raises:
        MeshError: As ``make_plan`` and ``Executor.run`` say; HeldError where another run holds the mesh;
            ReleaseError where another Helm has begun something. With ``rollback_on_failure`` a failed step is
            RolledBackError, or RollbackError where that failed, too.
    """
    plan = await make_plan(request, runtime)
    if dry_run:
        return InstallResult(plan=plan, dry_run=True)
    if await _only_proves(plan, runtime.cluster):
        check(plan)
        _warn(plan, runtime.listener)
        return await _prove(Executor(plan.steps, runtime, releases=plan.manifests), plan, runtime.cluster)
    async with runtime.cluster.lease.held(command) as dead:
        pending = pending_of(plan)
        if not clear_pending and dead is None:
            refuse_failures(check_pending(plan))
        settled = await settle(pending, runtime.processes, dead, step=PLAN_STEP, listener=runtime.listener)
        if plan.ending:
            await await_end(
                plan.ending, runtime.cluster, step=PLAN_STEP, timeout=runtime.waits.component, listener=runtime.listener
            )
        revisions, left_unproved = await asyncio.gather(
            runtime.cluster.storage.revisions(plan.mesh.releases), _left_unproved(plan, runtime.cluster)
        )
        if settled or plan.ending or revisions != plan.helm_revisions:
            plan = await make_plan(request, runtime)
        refuse_failures(check_pending(plan, ours=pending if clear_pending or dead is not None else ()))
        check(plan)
        _warn(plan, runtime.listener)
        applying = Executor(plan.steps, runtime, releases=plan.manifests)
        if not plan.changes:
            if not left_unproved:
                return await _prove(applying, plan, runtime.cluster)
            async with recorded_run(runtime.cluster, await run_of(plan, command, runtime.cluster)):
                return await _prove(applying, plan, runtime.cluster)
        return await _apply(applying, plan, command, runtime, rollback_on_failure=rollback_on_failure)


def _ways_on(failure: MeshError, command: str) -> str:
    """Say how it goes on after a failure, and back; the same command helps only where what failed may be over."""
    again = "Run the same command again to resume."
    forward = again if failure.passing else f"Fix the cause first. Then run nksmesh {command} to resume."
    return f"{forward} Or run nksmesh rollback to undo." if command in TAKEN_BACK else forward


def _warn(plan: Plan, listener: Listener) -> None:
    for finding in plan.findings:
        if finding.level is Level.WARNING:
            listener(Event(step=PLAN_STEP, kind=EventKind.WARNING, message=finding.message))


async def _prove(applying: Executor, plan: Plan, cluster: Cluster) -> InstallResult:
    """Prove what is there already."""
    progress = await applying.run()
    record = record_of(plan, helm_driver=cluster.storage.driver, done=True)
    if record != plan.recorded:  # what was asked for may change though no manifest does
        await cluster.records.write(record)
    return InstallResult(plan=plan, progress=progress)


async def _only_proves(plan: Plan, cluster: Cluster) -> bool:
    """Tell whether a run writes nothing at all: such a run needs no lease, for which its user would wait.

    Nobody has written since the plan read the cluster: no run holds the mesh now, and Helm's revisions are the same.
    And nothing is in trouble that the run would have tried again, by the deletion of a pod.
    """
    if plan.changes or plan.ending or pending_of(plan) or Before.of(plan.manifests, cluster.live).troubled:
        return False
    if record_of(plan, helm_driver=cluster.storage.driver, done=True) != plan.recorded:
        return False
    held, revisions, left_unproved = await asyncio.gather(
        cluster.lease.exists(), cluster.storage.revisions(plan.mesh.releases), _left_unproved(plan, cluster)
    )
    return not held and revisions == plan.helm_revisions and not left_unproved


async def _left_unproved(plan: Plan, cluster: Cluster) -> bool:
    """Tell whether the last run did not reach its end: the one that proves what it left is kept in the history.

    Else a later rollback would take that run back, too, as one that nobody ever proved.
    """
    runs = (await history_for(cluster, plan.mesh.namespace)).runs
    return bool(runs) and runs[-1].outcome in {Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED}


async def _apply(
    applying: Executor, plan: Plan, command: str, runtime: Runtime, *, rollback_on_failure: bool
) -> InstallResult:
    """Do what the plan says, between two records of it."""
    cluster, driver = runtime.cluster, runtime.cluster.storage.driver
    begun: Run | None = None
    try:
        async with recorded_run(cluster, await run_of(plan, command, cluster)) as recorder:
            begun = recorder.run
            await cluster.records.write(record_of(plan, helm_driver=driver, done=False))
            progress = await applying.run()
            written = await cluster.storage.revisions(move.release for move in begun.releases)
            recorder.left(written)
            await cluster.records.write(record_of(plan, written, helm_driver=driver, done=True))
            return InstallResult(plan=plan, progress=progress)
    except (HeldError, InterruptedRunError):
        raise  # somebody else has the mesh now, or the user said stop
    except MeshError as failure:
        if begun is not None and rollback_on_failure:
            await undo(failure, begun, runtime)
        failure.add_note(_ways_on(failure, command))
        raise
