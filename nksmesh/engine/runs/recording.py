"""What a run writes down: the record of what a plan resolved, and the history's entry of the run.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import nksmesh
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.record import Record, RecordedRelease, hash_of
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.versions import parse_version
from nksmesh.domain.plan.history import ReleaseMove, Run
from nksmesh.domain.plan.plan import Plan, RemovalStep
from nksmesh.engine.discovery import Installation
from nksmesh.engine.ports import Cluster


def record_of(
    plan: Plan, written: Mapping[tuple[str, str], tuple[int, str]] | None = None, *, helm_driver: str, done: bool
) -> Record:
    """Describe what the plan resolved; what it has not proved yet is recorded without digest and revision.

    Args:
        written: Helm's revisions after the run, where it wrote anything; the plan knows those from before.
        helm_driver: The storage driver with which Helm keeps the releases.
    """
    revisions = written or plan.helm_revisions
    known = {name for name, change in plan.releases.items() if done or not change.reasons}
    recorded = tuple(
        RecordedRelease(
            release=change.release,
            chart_digest=change.chart.digest if name in known else "",
            values_hash=hash_of(change.composed.values),
            helm_revision=revisions.get(change.release.key, (0, ""))[0] if name in known else 0,
            layers=tuple((layer.name, hash_of(layer.values)) for layer in change.layers),
        )
        for name, change in plan.releases.items()
    )
    pruned = {step.release for step in plan.steps if done and isinstance(step, RemovalStep)}
    kept = tuple(
        RecordedRelease(release=release, chart_digest="", values_hash="", helm_revision=0)
        for release in plan.unwanted
        if release not in pruned
    )
    record = Record(
        settings=Recorded.of(plan.mesh),
        hub=plan.mesh.hub,
        environment=plan.mesh.environment or (plan.recorded.environment if plan.recorded else ""),
        releases=(*recorded, *kept),
        written_by=nksmesh.__version__,
    )
    written_down = plan.keep(plan.recorded, record, done) if plan.keep else record
    return replace(written_down, helm_driver=helm_driver)


def begun_on(recorded: Record, releases: Collection[Release]) -> Record:
    """Note which releases are about to be written, so that a Helm left at work on them is known for our own."""
    noted = (
        replace(row, chart_digest="", helm_revision=0) if row.release in releases else row for row in recorded.releases
    )
    return replace(recorded, releases=tuple(noted))


async def run_of(plan: Plan, command: str, cluster: Cluster) -> Run:
    """Describe the run that is to follow a plan, for the history."""
    there: dict[Release, InstalledRelease | None] = {
        change.release: change.installed for change in plan.releases.values()
    }
    there |= dict(zip(plan.unwanted, plan.stored, strict=True))
    return Run(
        command=command,
        namespace=plan.mesh.namespace,
        from_versions=versions_of(installed for installed in there.values() if installed is not None),
        to_version=plan.mesh.version,
        values_hash=hash_of({name: change.composed.values for name, change in plan.releases.items()}),
        releases=await moves_of(there, cluster),
        before=plan.recorded,
    )


async def run_on(installation: Installation, command: str, cluster: Cluster, *, to_version: str = "") -> Run:
    """Describe the run that is to follow on a mesh as it is installed, for the history."""
    return Run(
        command=command,
        namespace=installation.namespace,
        from_versions=versions_of(installation.releases.values()),
        to_version=to_version,
        releases=await moves_of(installation.releases, cluster),
        before=installation.record,
    )


async def moves_of(there: Mapping[Release, InstalledRelease | None], cluster: Cluster) -> tuple[ReleaseMove, ...]:
    """Note at which Helm revision releases stand, before anything is written.

    What Helm has begun and not ended does not stand; nor does what failed, where an older Helm revision is deployed.
    """
    moves = tuple(
        ReleaseMove(release=release, before=installed.helm_revision if installed is not None else 0)
        for release, installed in there.items()
    )
    doubtful = [release for release, installed in there.items() if installed is not None and not installed.deployed]
    if not doubtful:
        return moves
    deployed = await cluster.storage.deployed(doubtful)
    return tuple(
        replace(move, before=deployed.get(move.release.key, 0)) if move.release in doubtful else move for move in moves
    )


def versions_of(installed: Iterable[InstalledRelease]) -> tuple[str, ...]:
    """Name the chart versions that releases are of, oldest first: one, where nothing is half way."""
    return tuple(sorted({release.chart_version for release in installed}, key=_numbers))


def _numbers(version: str) -> tuple[int, int, int]:
    try:
        return parse_version(version)
    except ConfigError:  # a chart that somebody made himself
        return 0, 0, 0
