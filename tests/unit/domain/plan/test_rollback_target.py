from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.record import Canary, Record
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.domain.plan.plan import Action, RemovalStep
from nksmesh.domain.plan.rollback_target import rollback_target, steps_back, way_back_of
from tests.unit.domain import meshes
from tests.unit.domain.meshes import EDGE, INGRESS, change, changes_of, installed
from tests.unit.domain.runs import BASE, GATEWAY, ISTIOD, NAMESPACE, moves, run

FIRST = run(1, command="install", releases=moves(base=(0, 1), istiod=(0, 1), gateway=(0, 1)))


def history(*runs: Run) -> History:
    return History(namespace=NAMESPACE, runs=runs)


def record(version: str) -> Record:
    return Record(settings=Recorded(version=version), hub="h")


def refused(kept: History, *, to_run: int | None = None) -> None:
    """Find the runs that are to be taken back, and end as a rollback does where they cannot be."""
    refuse_failures(rollback_target(kept, to_run=to_run).findings)


def test_the_last_run_is_taken_back_to_the_helm_revisions_before_it() -> None:
    last = run(2, releases=moves(base=(1, 2), istiod=(1, 2)), before=record("1.19.0"), from_versions=("1.19.0",))
    found = rollback_target(history(FIRST, last))
    assert found.numbers == (2,)
    assert found.targets == {BASE: 1, ISTIOD: 1, GATEWAY: 1}
    assert found.before == record("1.19.0")
    assert found.to_versions == ("1.19.0",)
    assert found.failed is None


def test_runs_that_did_not_reach_their_end_are_taken_back_with_the_one_that_went_on_with_them() -> None:
    half = run(3, Outcome.FAILED, releases=moves(base=(2, 3), istiod=(2, 3), gateway=(2, 2)), before=record("1.19.0"))
    killed = run(4, Outcome.INTERRUPTED, releases=moves(base=(3, 3), istiod=(3, 4), gateway=(2, 2)))
    done = run(5, releases=moves(base=(3, 3), istiod=(4, 5), gateway=(2, 3)))
    found = rollback_target(history(run(2), half, killed, done))
    assert found.numbers == (3, 4, 5)
    assert found.targets == {BASE: 2, ISTIOD: 2, GATEWAY: 2}
    assert found.before == record("1.19.0")
    assert found.failed == killed


def test_what_was_taken_back_already_and_rollbacks_themselves_are_passed_over() -> None:
    undone = run(3, Outcome.ROLLED_BACK, releases=moves(istiod=(2, 3)))
    back = run(4, command="rollback", releases=moves(istiod=(3, 4)))
    failed = run(5, Outcome.FAILED, command="rollback", releases=moves(istiod=(4, 5)))
    found = rollback_target(history(FIRST, run(2, releases=moves(istiod=(1, 2))), undone, back, failed))
    assert found.numbers == (2,)


def test_a_run_that_a_later_rollback_went_back_behind_is_not_gone_back_to() -> None:
    """Run 4 took back run 3, and run 5 run 2: what came after run 4 does not tell how it left the mesh."""
    back = run(4, command="rollback", undoes=(3,), to_version="1.20.0")
    further = run(5, command="rollback", undoes=(2,))
    undone = [run(number, Outcome.ROLLED_BACK, releases=moves(istiod=(number - 1, number))) for number in (2, 3)]
    later = run(6, releases=moves(istiod=(5, 6)))
    for runs in ((back, further), (back, further, later)):
        with pytest.raises(ConfigError, match="run 5, a rollback, went back further than run 4") as caught:
            refused(history(FIRST, *undone, *runs), to_run=4)
        assert "--to 1.20.0" in caught.value.hint
    assert rollback_target(history(FIRST, *undone, back, further, later), to_run=5).numbers == (6,)
    assert rollback_target(history(FIRST, *undone, back, further, later), to_run=1).numbers == (6,)


def test_every_reason_why_runs_are_not_taken_back_is_named() -> None:
    canary = Canary(settings=Recorded(version="1.21.0"), release=replace(ISTIOD, name="istiod-1-21-0"))
    first = replace(FIRST, before=replace(record("1.19.0"), canary=canary))
    found = rollback_target(history(first, run(2, command="canary start", releases=moves(istiod=(1, 2)))), to_run=None)
    assert [finding.id for finding in found.findings] == ["rollback.other-command"]
    back = run(3, command="rollback", undoes=(1,))
    promoted = run(4, command="canary promote", releases=moves(istiod=(0, 2)), before=first.before)
    found = rollback_target(history(first, run(2), back, promoted), to_run=2)
    assert [finding.id for finding in found.findings] == [
        "rollback.passed-run",
        "rollback.other-command",
        "rollback.no-mesh-before",
        "rollback.canary-before",
    ]


@pytest.mark.parametrize(
    ("command", "instead"),
    [("canary start", "canary abort"), ("canary promote", "upgrade --to"), ("uninstall", "nksmesh install")],
)
def test_what_another_command_did_is_not_taken_back_and_the_hint_says_what_is_done_instead(
    command: str, instead: str
) -> None:
    other = run(2, command=command, releases=moves(istiod=(1, 2)))
    with pytest.raises(ConfigError, match=f"run 2 was nksmesh {command}") as caught:
        refused(history(FIRST, other))
    assert instead in caught.value.hint
    assert "--to-run" not in caught.value.hint, "there is nothing after it"
    with pytest.raises(ConfigError, match=f"run 2 was nksmesh {command}") as caught:
        refused(history(FIRST, other, run(3, releases=moves(istiod=(2, 3)))), to_run=1)
    assert "--to-run 2" in caught.value.hint


def test_what_an_uninstall_that_did_not_end_left_is_no_mesh_to_go_back_to() -> None:
    half = run(2, Outcome.FAILED, command="uninstall", releases=moves(gateway=(1, 0)))
    again = run(3, command="install", releases=moves(gateway=(0, 1)))
    for runs in ((half,), (half, replace(again, outcome=Outcome.FAILED))):
        with pytest.raises(ConfigError, match="run 2 was nksmesh uninstall") as caught:
            refused(history(FIRST, *runs))
        assert (
            "nksmesh install to restore what it removed, or nksmesh uninstall to remove the rest" in caught.value.hint
        )
    later = run(4, releases=moves(istiod=(1, 2)))
    assert rollback_target(history(FIRST, half, again, later)).numbers == (4,)
    promoted = run(2, Outcome.INTERRUPTED, command="canary promote", releases=moves(istiod=(1, 2)))
    for runs in ((half, again), (promoted, run(3, releases=moves(istiod=(2, 3))))):
        with pytest.raises(ConfigError, match="run 2 was nksmesh") as caught:
            refused(history(FIRST, *runs))
        assert "no complete mesh to return to. Run nksmesh upgrade --to" in caught.value.hint
        assert "--to-run" not in caught.value.hint


def test_a_run_that_has_just_failed_is_taken_back_alone() -> None:
    half = run(2, Outcome.FAILED, releases=moves(istiod=(1, 2)))
    failed = run(3, Outcome.FAILED, releases=moves(istiod=(2, 3)))
    assert rollback_target(history(FIRST, half, failed)).numbers == (2, 3)
    assert way_back_of(failed).targets[ISTIOD] == 2


def test_a_first_install_that_failed_goes_back_to_nothing_and_a_whole_one_does_not() -> None:
    failed = run(1, Outcome.FAILED, command="install", releases=FIRST.releases)
    assert rollback_target(history(failed)).targets == {BASE: 0, ISTIOD: 0, GATEWAY: 0}
    with pytest.raises(ConfigError, match="there was no mesh before run 1") as caught:
        refused(history(FIRST))
    assert "nksmesh uninstall" in caught.value.hint


def test_to_a_run_is_how_that_run_left_the_mesh() -> None:
    runs = (FIRST, run(2, releases=moves(istiod=(1, 2))), run(3, releases=moves(istiod=(2, 3), gateway=(1, 2))))
    found = rollback_target(history(*runs), to_run=1)
    assert found.numbers == (2, 3)
    assert found.targets == {BASE: 1, ISTIOD: 1, GATEWAY: 1}


@pytest.mark.parametrize(
    ("to_run", "words"),
    [
        (9, "run 9 is no longer stored"),
        (2, "run 2 did not finish the mesh: it is failed"),
        (3, "is already as run 3 left it"),
    ],
)
def test_a_run_that_is_none_to_go_to_is_refused(to_run: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        refused(history(FIRST, run(2, Outcome.FAILED), run(3)), to_run=to_run)


def test_what_another_command_did_is_not_taken_back_but_what_moved_no_release_is_no_hindrance() -> None:
    upgraded = run(2, releases=moves(istiod=(1, 2)))
    assert rollback_target(history(FIRST, upgraded, run(3, command="repair", releases=moves()))).numbers == (2,)
    moved = run(3, command="canary promote", releases=moves(istiod=(2, 3)))
    with pytest.raises(ConfigError, match="run 3 was nksmesh canary promote") as caught:
        refused(history(FIRST, upgraded, moved))
    assert "nksmesh upgrade --to" in caught.value.hint
    with pytest.raises(ConfigError, match="no stored run"):
        refused(history())


def test_istiod_goes_back_first_then_its_webhook_is_proved_then_all_that_depends_on_it() -> None:
    back = [
        change(release, installed=installed(release, helm_revision=2), reasons=("why",), stale_pods=stale)
        for release, stale in ((meshes.BASE, ()), (INGRESS, ("pod x runs y",)), (meshes.ISTIOD, ()))
    ]
    steps = {one.name: one for one in steps_back(changes_of(*back), {}, proxy_image="old", network=Network.PUBLIC)}
    needs = {name: {need.step for need in step.needs} for name, step in steps.items()}
    gate = "injection webhook"
    assert list(steps) == ["istiod", gate, "istio-base", INGRESS.name, f"restart {INGRESS.name}"]
    assert needs[gate] == {"istiod"}
    assert needs["istio-base"] == needs[INGRESS.name] == {gate}
    assert needs[f"restart {INGRESS.name}"] == {gate, INGRESS.name}


def test_releases_of_the_same_name_in_two_namespaces_go_back_and_go_each_for_itself() -> None:
    other = replace(EDGE, namespace="outer")
    back = {
        title: change(release, installed=installed(release, helm_revision=2), reasons=("why",), stale_pods=("stale",))
        for title, release in {"edge/edge": EDGE, "outer/edge": other}.items()
    }
    steps = steps_back(back, {}, proxy_image="old", network=Network.PUBLIC)
    needs = {step.name: [need.step for need in step.needs] for step in steps}
    assert needs == {
        "edge/edge": [],
        "outer/edge": [],
        "restart edge/edge": ["edge/edge"],
        "restart outer/edge": ["outer/edge"],
    }
    gone = {release: installed(release) for release in (EDGE, other)}
    steps = steps_back({}, gone, proxy_image="old", network=Network.PUBLIC)
    needs = {step.name: [need.step for need in step.needs] for step in steps}
    assert needs == {"remove edge/edge": [], "remove outer/edge": ["remove edge/edge"]}


def test_what_was_not_there_before_goes_last_gateways_before_istiod_before_base() -> None:
    gone = [meshes.BASE, INGRESS, meshes.ISTIOD, EDGE]
    steps = steps_back({}, {release: installed(release) for release in gone}, proxy_image="old", network=Network.PUBLIC)
    assert [step.release for step in steps if isinstance(step, RemovalStep)] == [
        INGRESS,
        EDGE,
        meshes.ISTIOD,
        meshes.BASE,
    ]
    assert {step.action for step in steps} == {Action.REMOVE}
    assert all({need.step for need in step.needs} == {past.name for past in steps[:n]} for n, step in enumerate(steps))
