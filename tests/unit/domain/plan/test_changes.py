from __future__ import annotations

import pytest

from nksmesh.domain.mesh.record import RecordedRelease, hash_of
from nksmesh.domain.plan.changes import reasons_to_write
from nksmesh.domain.values.set_integers import SetInteger
from tests.unit.domain.meshes import ISTIOD, chart, installed

CHART = chart("istiod")
VALUES = {"global": {"hub": "a", "tag": "1"}, "pilot": {"replicas": 1}}


def recorded(*, helm_revision: int = 1, digest: str = CHART.digest, values: str = "") -> RecordedRelease:
    return RecordedRelease(
        release=ISTIOD, chart_digest=digest, values_hash=values or hash_of(VALUES), helm_revision=helm_revision
    )


def test_what_is_not_there_is_written() -> None:
    assert reasons_to_write(None, CHART, VALUES, None) == ("it is not installed",)


def test_what_is_as_recorded_is_left_alone() -> None:
    assert reasons_to_write(installed(ISTIOD, values={}), CHART, VALUES, recorded()) == ()


def test_without_a_record_helms_own_values_tell() -> None:
    assert reasons_to_write(installed(ISTIOD, values=VALUES), CHART, VALUES, None) == ()
    (reason,) = reasons_to_write(installed(ISTIOD, values={}), CHART, VALUES, None)
    assert reason == "values change: global.hub, global.tag, pilot.replicas"


def test_a_record_of_an_older_helm_revision_tells_nothing() -> None:
    """Somebody ran helm upgrade after us: what Helm has counts, not what we remember."""
    upgraded = installed(ISTIOD, helm_revision=2, values={**VALUES, "pilot": {"replicas": 3}})
    assert reasons_to_write(upgraded, CHART, VALUES, recorded()) == ("values change: pilot.replicas",)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "uninstalling"])
def test_what_a_dead_run_left_is_put_right(status: str) -> None:
    (reason,) = reasons_to_write(installed(ISTIOD, status=status, helm_revision=3), CHART, VALUES, recorded())
    assert reason == f"a run that ended early left it {status} (Helm revision 3)"


def test_a_failed_release_is_written_again() -> None:
    found = reasons_to_write(installed(ISTIOD, status="failed", values=VALUES), CHART, VALUES, None)
    assert found == ("Helm left it failed",)


def test_another_chart_version_is_said_and_its_digest_is_not_said_too() -> None:
    newer = chart("istiod", version="1.21.0")
    assert reasons_to_write(installed(ISTIOD), newer, VALUES, recorded()) == ("chart 1.20.0 becomes 1.21.0",)


def test_the_same_version_from_another_archive_is_a_reason() -> None:
    (reason,) = reasons_to_write(installed(ISTIOD), CHART, VALUES, recorded(digest="sha256:other"))
    assert reason == "chart 1.20.0 has another digest than the installed one"


def test_many_changed_keys_are_counted() -> None:
    values = {f"k{number}": number for number in range(6)}
    (reason,) = reasons_to_write(installed(ISTIOD), CHART, values, None)
    assert reason == "values change: k0, k1, k2, k3 and 2 more"


@pytest.mark.parametrize("before", [10**6, SetInteger(10**6)])
def test_an_integer_that_helm_has_as_a_float_is_written(before: int) -> None:
    """Helm stores both alike, and its templates print them otherwise."""
    after = 10**6 if isinstance(before, SetInteger) else SetInteger(10**6)
    for value in ({"x": after}, {"x": [1, after]}):
        was = {"x": before} if isinstance(value["x"], int) else {"x": [1, before]}
        found = installed(ISTIOD, values={"x": 10**6} if isinstance(value["x"], int) else {"x": [1, 10**6]})
        assert reasons_to_write(found, CHART, was, recorded(values=hash_of(was))) == ()
        (reason,) = reasons_to_write(found, CHART, value, recorded(values=hash_of(was)))
        assert reason == "values change: the type of x"


def test_a_null_and_an_empty_map_are_values_too() -> None:
    before = {"a": {"b": 1}, "c": None}
    (reason,) = reasons_to_write(installed(ISTIOD, values=before), CHART, {"a": {}, "c": None, "d": None}, None)
    assert reason.startswith("values change: a")
