"""Install: plan, hold the mesh, make sure the plan still stands, apply, record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import nksmesh
from nksmesh.domain.errors import ReleaseError
from nksmesh.domain.events import Event, EventKind, Listener
from nksmesh.domain.findings import Level
from nksmesh.domain.holding import Holder
from nksmesh.domain.plan import Plan, ReleaseChange, StepKind
from nksmesh.domain.record import Record, RecordedRelease, hash_of
from nksmesh.domain.request import Recorded
from nksmesh.workflows.apply import Applying
from nksmesh.workflows.ending import await_end
from nksmesh.workflows.planning import PLAN_STEP, Order, make_plan
from nksmesh.workflows.ports import Charts, Cluster, Helm, Processes
from nksmesh.workflows.settling import let_helm_end
from nksmesh.workflows.waiting import Patience
from nksmesh.workflows.work import Progress

SETTLE_SECONDS: Final = 20.0
"""How long a pending release is left to whoever may still be at work on it, from Helm's last word on it."""


@dataclass(frozen=True, kw_only=True)
class InstallResult:
    """What an install did.

    Attributes:
        plan: The plan it followed.
        progress: What came of it.
        dry_run: Nothing was done: the plan alone was wanted.
    """

    plan: Plan
    progress: Progress = field(default_factory=Progress)
    dry_run: bool = False

    def to_data(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {
            **self.plan.to_data(),
            "dry_run": self.dry_run,
            "done": [
                {
                    "name": outcome.step.name,
                    "action": outcome.step.action.value,
                    "message": outcome.message,
                    "seconds": round(outcome.seconds, 3),
                }
                for outcome in self.progress.outcomes
            ],
            "addresses": {name: list(found) for name, found in self.progress.addresses.items()},
            "warnings": list(self.progress.warnings),
        }


async def install(
    order: Order,
    cluster: Cluster,
    helm: Helm,
    charts: Charts,
    processes: Processes,
    *,
    patience: Patience,
    dry_run: bool,
    listener: Listener,
) -> InstallResult:
    """Bring a cluster to the mesh that an order describes, each component proved ready before what depends on it.

    Raises:
        MeshError: As ``make_plan`` and ``Applying.run`` say; HeldError where another run holds the mesh.
    """
    plan = await make_plan(order, cluster, helm, charts, listener=listener)
    if dry_run:
        return InstallResult(plan=plan, dry_run=True)
    async with cluster.lease.held("install") as dead:
        settled = await _settle(plan, processes, dead, listener)
        if plan.ending:
            await await_end(plan.ending, cluster, step=PLAN_STEP, timeout=patience.component, listener=listener)
        if settled or plan.ending or not await _still_stands(plan, cluster):
            plan = await make_plan(order, cluster, helm, charts, listener=listener)
        if plan.changes:
            await cluster.records.write(_record_of(plan, done=False))
        for finding in plan.findings:
            if finding.level is Level.WARNING:
                listener(Event(step=PLAN_STEP, kind=EventKind.WARNING, message=finding.message))
        progress = await Applying(plan, cluster, helm, patience=patience, listener=listener).run()
        written = await cluster.storage.revisions(plan.mesh.releases) if plan.changes else {}
        record = _record_of(plan, written, done=True)
        if plan.changes or record != plan.recorded:  # what was asked for may change though no manifest does
            await cluster.records.write(record)
    return InstallResult(plan=plan, progress=progress)


async def _settle(plan: Plan, processes: Processes, dead: Holder | None, listener: Listener) -> bool:
    """Let whoever may still be at work on a pending release end; tell whether anything was waited for."""
    if dead is not None and processes.here(dead):
        return await let_helm_end(dead, processes, step=PLAN_STEP, listener=listener)
    pending = [change for change in plan.releases.values() if change.left_pending]
    if dead is None:
        _refuse_foreign(plan, pending)
    if dead is None or not pending:
        return False
    left = max(_unsettled(change) for change in pending)
    if left <= 0:
        return False
    names = ", ".join(change.release.name for change in pending)
    listener(Event(step=PLAN_STEP, kind=EventKind.WAITING, message=f"{names} to settle: Helm may be at work on it"))
    await asyncio.sleep(left)  # what is waited for is that nothing happens
    return True


def _refuse_foreign(plan: Plan, pending: list[ReleaseChange]) -> None:
    """Leave alone what somebody else's Helm has begun: it may still be at work, however long ago it began.

    A run of ours records what it is about to write before Helm writes it, so its own are known.
    """
    for change in pending:
        recorded = plan.recorded.of_release(change.release) if plan.recorded else None
        if change.installed is not None and (recorded is None or recorded.helm_revision):
            name, namespace = change.release.name, change.release.namespace
            raise ReleaseError(
                f"release {name} is {change.installed.status}: another Helm is at work on it, or was killed",
                hint=f"Wait for it; if it is dead: helm rollback {name} -n {namespace} (helm uninstall, if it was "
                "its first revision), then run again.",
            )


def _unsettled(change: ReleaseChange) -> float:
    """Return for how many seconds more somebody may still be at work on a pending release."""
    updated = change.installed.updated if change.installed else None
    if updated is None:
        return SETTLE_SECONDS
    return SETTLE_SECONDS - (datetime.now(UTC) - updated).total_seconds()


async def _still_stands(plan: Plan, cluster: Cluster) -> bool:
    """Tell whether Helm's releases are still those that the plan was made from, now that nobody else writes."""
    found = await cluster.storage.revisions(plan.mesh.releases)
    planned = {
        (change.release.namespace, change.release.name): (change.installed.helm_revision, change.installed.status)
        for change in plan.releases.values()
        if change.installed is not None
    }
    return found == planned


def _record_of(plan: Plan, written: Mapping[tuple[str, str], tuple[int, str]] | None = None, *, done: bool) -> Record:
    """Describe what the plan resolved; what it has not proved yet is recorded without digest and revision.

    Args:
        plan: The plan.
        written: Helm's revisions after the run, where it wrote anything; the plan knows those from before.
        done: Everything is proved.
    """
    before = {
        (one.namespace, one.name): (one.helm_revision, one.status)
        for change in plan.releases.values()
        if (one := change.installed) is not None
    }
    revisions = written or before
    known = {name for name, change in plan.releases.items() if done or not change.reasons}
    recorded = tuple(
        RecordedRelease(
            release=change.release,
            chart_digest=change.chart.digest if name in known else "",
            values_hash=hash_of(change.composed.values),
            helm_revision=revisions.get((change.release.namespace, name), (0, ""))[0] if name in known else 0,
            layers=tuple((layer.name, hash_of(layer.values)) for layer in change.layers),
        )
        for name, change in plan.releases.items()
    )
    pruned = {step.release for step in plan.steps if done and step.kind is StepKind.REMOVAL}
    kept = tuple(
        RecordedRelease(release=release, chart_digest="", values_hash="", helm_revision=0)
        for release in plan.unwanted
        if release not in pruned
    )
    return Record(
        answers=Recorded.of(plan.mesh),
        hub=plan.mesh.hub,
        environment=plan.mesh.environment or (plan.recorded.environment if plan.recorded else ""),
        releases=(*recorded, *kept),
        written_by=nksmesh.__version__,
    )
