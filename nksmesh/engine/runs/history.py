"""The history of a mesh: written by every run that changes something, and shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import nksmesh
from nksmesh.domain.common.errors import ClusterError, InterruptedRunError, MeshError, RolledBackError
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.engine.discovery import record_for
from nksmesh.engine.ports import Cluster

END_SECONDS: Final = 10.0
"""How long a run that ends tries to have that kept, where the API server does not answer."""


class RunRecorder:
    """A run while it is kept in the history.

    Attributes:
        run: The run as it was begun, numbered.
    """

    def __init__(self, run: Run) -> None:
        """Keep a run that has begun."""
        self.run = run
        self._after: Mapping[tuple[str, str], int] | None = None

    def left(self, revisions: Mapping[tuple[str, str], tuple[int, str]]) -> None:
        """Note the Helm revisions that it left, as ``storage.revisions`` has them; else they are read at its end."""
        self._after = {key: revision for key, (revision, _) in revisions.items()}

    async def ended(self, cluster: Cluster) -> Run:
        """Return the run with what it left; what cannot be learnt now is left as it was before."""
        if self._after is None:
            try:
                self.left(await cluster.storage.revisions(move.release for move in self.run.releases))
            except ClusterError:
                return self.run
        return self.run.after(self._after or {})


@asynccontextmanager
async def recorded_run(cluster: Cluster, run: Run) -> AsyncIterator[RunRecorder]:
    """Keep a run in the mesh's history: as running when the block begins, and with its outcome when it ends.

    Use it inside the lease, for what the history still counts as running is then dead, and is marked so.

    Args:
        run: What is known of the run; who, when and its number are filled in here. ``releases`` has each release's
            Helm revision before the run; those after it are read at its end.

    Yields:
        The run at work.

    Raises:
        ClusterError: The history cannot be read or written when the block begins. At its end that is passed over:
            the next run finds this one still running, and marks it.
    """
    holder = cluster.lease.holder
    run = replace(
        run,
        who=f"{holder.user}@{holder.host}" if holder else "",
        account=cluster.account,
        began=datetime.now(UTC),
        written_by=nksmesh.__version__,
    )

    def begin(history: History) -> History:
        nonlocal run
        run = replace(run, number=history.next_number)
        return history.begun(run)

    await cluster.histories.update(run.namespace, begin)
    recorder = RunRecorder(run)
    try:
        yield recorder
    except (Exception, asyncio.CancelledError) as exc:
        # A run that is stopped is given the time for these requests.
        await asyncio.shield(_end(cluster, recorder, *_told(exc)))
        raise
    await _end(cluster, recorder, Outcome.DONE)


async def _end(cluster: Cluster, recorder: RunRecorder, outcome: Outcome, reason: str = "", evidence: str = "") -> None:
    try:
        async with asyncio.timeout(END_SECONDS):
            run = replace(await recorder.ended(cluster), ended=datetime.now(UTC)).ending(outcome, reason, evidence)
            await cluster.histories.update(run.namespace, lambda history: history.ended(run))
    except (ClusterError, TimeoutError):
        return  # the next run marks it


def _told(exc: BaseException) -> tuple[Outcome, str, str]:
    """Say how a run ended that raised."""
    notes = getattr(exc, "__notes__", ())
    if isinstance(exc, MeshError):
        outcome = {InterruptedRunError: Outcome.INTERRUPTED, RolledBackError: Outcome.ROLLED_BACK}
        evidence = "\n".join(filter(None, (exc.detail, *notes)))
        return outcome.get(type(exc), Outcome.FAILED), exc.message, evidence
    if isinstance(exc, Exception):
        return Outcome.FAILED, f"{type(exc).__name__}: {exc}", ""
    return Outcome.INTERRUPTED, "stopped before the end", ""


async def history_for(cluster: Cluster, namespace: str) -> History:
    """Choose the history that is meant: of the namespace named, of the mesh there is, or of the last there was.

    A history outlives its mesh: of a mesh that is gone it is the last resort, first istio-system's.
    """
    records, histories = await asyncio.gather(cluster.records.read_all(), cluster.histories.read_all())
    if (record := record_for(namespace, records)) is not None:
        namespace = record.namespace
    only = next(iter(histories)) if len(histories) == 1 else ISTIO_NAMESPACE
    where = namespace or (ISTIO_NAMESPACE if ISTIO_NAMESPACE in histories else only)
    return histories.get(where) or History(namespace=where)
