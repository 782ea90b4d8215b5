"""``nksmesh history``: the runs that wrote to a mesh."""

from __future__ import annotations

from dataclasses import dataclass

from nksmesh.domain.plan.history import Run
from nksmesh.engine.ports import Cluster
from nksmesh.engine.runs.history import history_for


@dataclass(frozen=True, kw_only=True)
class HistoryResult:
    """What ``nksmesh history`` shows.

    Attributes:
        runs: The runs, newest first.
        more: How many older ones are kept and not shown.
    """

    namespace: str
    runs: tuple[Run, ...] = ()
    more: int = 0


async def show_history(cluster: Cluster, namespace: str, *, limit: int) -> HistoryResult:
    """Read the newest runs of a mesh.

    Args:
        namespace: The control plane's namespace; empty for istio-system's, or the only one there is.

    Raises:
        ClusterError: The cluster cannot be reached or refuses, or the history cannot be understood.
    """
    history = await history_for(cluster, namespace)
    newest = tuple(reversed(history.runs))
    return HistoryResult(namespace=history.namespace, runs=newest[:limit], more=len(newest[limit:]))
