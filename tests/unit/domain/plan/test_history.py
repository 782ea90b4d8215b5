from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.history import MOST_EVIDENCE, MOST_RUNS, History, Outcome, ReleaseMove, Run
from nksmesh.domain.plan.rollback_target import rollback_target
from tests.unit.domain.meshes import EDGE
from tests.unit.domain.runs import ISTIOD, NAMESPACE, moves, run

RECORD = Record(
    settings=Recorded(region="kr1", network=Network.PRIVATE, version="1.19.0", namespace=NAMESPACE),
    hub="h",
    releases=(RecordedRelease(release=ISTIOD, chart_digest="d", values_hash="v", helm_revision=3),),
)


def history(*runs: Run) -> History:
    return History(namespace=NAMESPACE, runs=runs)


def test_a_run_is_read_back_as_it_was_kept_and_what_a_later_nksmesh_says_more_is_passed_over() -> None:
    whole = run(
        4,
        Outcome.FAILED,
        who="kim@desk",
        account="nks-admin",
        ended=datetime(2026, 1, 1, 12, 5, tzinfo=UTC),
        from_versions=("1.19.0",),
        to_version="1.20.0",
        values_hash="sha256:1",
        reason="istiod cannot become ready",
        evidence="ErrImagePull",
        releases=moves(istiod=(3, 4)),
        before=RECORD,
        undoes=(2, 3),
        undone_by=5,
    )
    assert Run.from_data({**json.loads(json.dumps(whole.to_data())), "later": 1}) == whole


def test_a_run_that_begins_finds_whatever_still_counts_as_running_dead() -> None:
    begun = history(run(1), run(2, Outcome.RUNNING)).begun(run(3, Outcome.RUNNING))
    assert [one.outcome for one in begun.runs] == [Outcome.DONE, Outcome.INTERRUPTED, Outcome.RUNNING]
    assert "killed" in begun.runs[1].reason


def test_the_newest_runs_are_kept_and_numbers_are_not_given_twice() -> None:
    kept = history()
    for _ in range(MOST_RUNS + 3):
        kept = kept.begun(run(kept.next_number))
    assert [one.number for one in kept.runs] == list(range(4, MOST_RUNS + 4))
    assert kept.next_number == MOST_RUNS + 4


def test_what_fails_again_and_again_does_not_push_out_the_run_that_knows_what_stood_before() -> None:
    """A pipeline tries an upgrade that fails each hour, then another gateway with it: the way back is as after one."""
    kept = history(run(1), run(2, Outcome.FAILED, releases=moves(istiod=(3, 4)), before=RECORD))
    kept = kept.begun(run(3, Outcome.FAILED, releases=(*moves(istiod=(4, 4)), ReleaseMove(release=EDGE, after=1))))
    for number in range(4, 3 * MOST_RUNS):
        again = (*moves(istiod=(4, 4)), ReleaseMove(release=EDGE, before=1, after=1))
        command = "rollback" if number % 3 == 0 else "upgrade"
        kept = kept.begun(run(number, Outcome.FAILED, command=command, releases=again))
    assert [one.number for one in kept.runs] == [2, *range(2 * MOST_RUNS + 1, 3 * MOST_RUNS)]
    found = rollback_target(kept)
    assert (found.targets[ISTIOD], found.targets[EDGE], found.before) == (3, 0, RECORD)
    # proved at last, they go as all others do
    for number in range(3 * MOST_RUNS, 4 * MOST_RUNS + 1):
        kept = kept.begun(run(number))
    assert len(kept.runs) == MOST_RUNS
    assert all(one.whole for one in kept.runs)


def test_a_rollback_that_went_well_marks_the_runs_it_took_back_and_a_failed_one_does_not() -> None:
    back = run(3, Outcome.RUNNING, command="rollback", undoes=(1, 2))
    begun = history(run(1, Outcome.FAILED, reason="why"), run(2, Outcome.FAILED), back)
    done = begun.ended(replace(back, outcome=Outcome.DONE))
    assert [(one.outcome, one.undone_by) for one in done.runs] == [
        (Outcome.ROLLED_BACK, 3),
        (Outcome.ROLLED_BACK, 3),
        (Outcome.DONE, 0),
    ]
    assert done.runs[0].reason == "why"
    assert begun.ended(replace(back, outcome=Outcome.FAILED)).runs[0].undone_by == 0


def test_the_end_of_a_run_that_was_taken_for_another_s_changes_no_other() -> None:
    before = history(run(1), run(2))
    assert before.ended(replace(run(2), began=datetime.now(UTC), reason="late")) == before


def test_evidence_is_bounded_and_its_end_is_kept() -> None:
    kept = run(1).ending(Outcome.FAILED, "why", "x" * MOST_EVIDENCE + "the last words").evidence
    assert len(kept) == MOST_EVIDENCE
    assert kept.endswith("the last words")


def test_leaving_out_keeps_the_newest_run_to_the_last() -> None:
    kept = history(run(1), run(2, evidence="e", before=RECORD))
    assert kept.without_oldest() == history(run(2, evidence="e", before=RECORD))
    assert kept.without_oldest().without_oldest() == history(run(2))
