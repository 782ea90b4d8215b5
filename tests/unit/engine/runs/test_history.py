from __future__ import annotations

import asyncio

import pytest

from nksmesh.commands.history import show_history
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, InterruptedRunError, NotReadyError
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.engine.runs.history import history_for, recorded_run
from tests.unit.domain.runs import ISTIOD, NAMESPACE, moves, run
from tests.unit.fakes.cluster import FakeCluster

UNSEEN = ClusterError("gone", hint="wait")


def installed(helm_revision: int) -> InstalledRelease:
    return InstalledRelease(
        name=ISTIOD.name,
        namespace=NAMESPACE,
        helm_revision=helm_revision,
        status="deployed",
        chart="istiod",
        chart_version="1.20.0",
    )


def wanted() -> Run:
    return Run(command="upgrade", namespace=NAMESPACE, to_version="1.20.0", releases=moves(istiod=(1, 0))[1:2])


def kept(cluster: FakeCluster) -> tuple[Run, ...]:
    return cluster.histories.kept[NAMESPACE].runs


async def test_a_run_is_kept_as_running_while_it_runs_and_as_done_at_its_end() -> None:
    cluster = FakeCluster()
    async with cluster.lease.held("upgrade"), recorded_run(cluster, wanted()) as recorder:
        begun = kept(cluster)[-1]
        assert begun.outcome is Outcome.RUNNING
        assert (begun.number, begun.who, begun.account) == (1, "kim@desk", "nks-admin")
        assert begun.ended is None
        assert recorder.run == begun
        cluster.storage.put(installed(2))
    done = kept(cluster)[-1]
    assert (done.outcome, done.reason) == (Outcome.DONE, "")
    assert done.began is not None
    assert done.ended is not None
    assert [(move.before, move.after) for move in done.releases] == [(1, 2)]


async def test_what_a_run_left_is_not_read_again_where_it_is_told() -> None:
    cluster = FakeCluster()
    async with recorded_run(cluster, wanted()) as recorder:
        recorder.left({(NAMESPACE, "istiod"): (7, "deployed")})
    assert kept(cluster)[-1].releases[0].after == 7
    assert not cluster.storage.asked("revisions")


async def failing(error: BaseException, cluster: FakeCluster) -> None:
    async with recorded_run(cluster, wanted()):
        raise error


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (NotReadyError("istiod is not ready", hint="h", detail="ErrImagePull"), Outcome.FAILED, "istiod is not ready"),
        (InterruptedRunError("SIGTERM", hint="h", detail="ErrImagePull"), Outcome.INTERRUPTED, "SIGTERM"),
        (ZeroDivisionError("by zero"), Outcome.FAILED, "ZeroDivisionError: by zero"),
        (asyncio.CancelledError(), Outcome.INTERRUPTED, "stopped before the end"),
    ],
)
async def test_a_run_that_fails_is_kept_with_why_and_its_evidence(
    error: BaseException, outcome: Outcome, reason: str
) -> None:
    cluster = FakeCluster()
    error.add_note("done: namespace")
    with pytest.raises(type(error)):
        await failing(error, cluster)
    last = kept(cluster)[-1]
    assert (last.outcome, last.reason) == (outcome, reason)
    if getattr(error, "detail", ""):
        assert last.evidence == "ErrImagePull\ndone: namespace"


async def test_a_run_that_is_cancelled_is_still_given_the_time_to_keep_it() -> None:
    cluster = FakeCluster()

    async def wait() -> None:
        async with recorded_run(cluster, wanted()):
            await asyncio.sleep(100)

    task = asyncio.create_task(wait())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept(cluster)[-1].outcome is Outcome.INTERRUPTED


async def test_a_history_that_cannot_be_written_stops_a_run_before_it_begins_and_not_at_its_end() -> None:
    cluster = FakeCluster()
    async with recorded_run(cluster, wanted()):
        cluster.histories.fails["update"] = cluster.storage.fails["revisions"] = UNSEEN
    assert kept(cluster)[-1].outcome is Outcome.RUNNING
    with pytest.raises(ClusterError, match="gone"):
        await failing(AssertionError("it was begun"), cluster)


async def test_the_newest_runs_are_shown_first_and_no_more_than_were_asked_for() -> None:
    cluster = FakeCluster()
    cluster.histories.kept = {NAMESPACE: History(namespace=NAMESPACE, runs=(run(1), run(2), run(3)))}
    shown = await show_history(cluster, "", limit=2)
    assert [one.number for one in shown.runs] == [3, 2]
    assert shown.more == 1
    assert "before" not in data_of(shown)["runs"][0]


async def test_the_history_is_that_of_the_namespace_named_of_istio_system_or_the_only_one() -> None:
    cluster = FakeCluster()
    assert (await history_for(cluster, "")).namespace == NAMESPACE
    cluster.histories.kept = {"mesh-a": History(namespace="mesh-a")}
    assert (await history_for(cluster, "")).namespace == "mesh-a"
    assert (await history_for(cluster, "other")).namespace == "other"
    cluster.histories.kept |= {"mesh-b": History(namespace="mesh-b")}
    assert (await history_for(cluster, "")).namespace == NAMESPACE
    assert (await history_for(cluster, "mesh-b")).namespace == "mesh-b"


async def test_the_history_of_a_mesh_that_is_gone_gives_way_to_that_of_the_mesh_there_is() -> None:
    cluster = FakeCluster()
    cluster.histories.kept = {name: History(namespace=name) for name in (NAMESPACE, "mesh-b")}
    cluster.records.kept["mesh-b"] = Record(settings=Recorded(namespace="mesh-b"), hub="h")
    assert (await history_for(cluster, "")).namespace == "mesh-b"
    assert (await history_for(cluster, NAMESPACE)).namespace == NAMESPACE
