from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nksmesh.domain.mesh.holding import LEASE_SECONDS, RENEW_SECONDS, Holder, seems_lapsed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOLDER = Holder(host="desk", process=7, started=100, user="kim", command="install")


@pytest.mark.parametrize(
    ("seconds_ago", "over"), [(0, False), (LEASE_SECONDS, False), (LEASE_SECONDS + 1, True), (-60, True), (-5, False)]
)
def test_a_lease_seems_lapsed_after_its_seconds_or_by_another_clock(seconds_ago: float, *, over: bool) -> None:
    assert seems_lapsed(NOW - timedelta(seconds=seconds_ago), NOW) is over


def test_a_lease_that_was_never_renewed_has_lapsed() -> None:
    assert seems_lapsed(None, NOW)


def test_three_renewals_may_fail() -> None:
    assert 3 * RENEW_SECONDS < LEASE_SECONDS


def test_a_process_id_given_out_again_is_another_holder() -> None:
    assert HOLDER.identity == "kim@desk/7/100"
    assert replace(HOLDER, started=101).identity != HOLDER.identity
    assert replace(HOLDER, helm=(8, 9)).identity == HOLDER.identity
    assert replace(HOLDER, boot="b", namespace="pid:1").identity != HOLDER.identity


def test_another_machine_or_container_of_the_same_name_is_another_holder() -> None:
    placed = replace(HOLDER, boot="b1", namespace="4026531836")
    others = [replace(placed, boot="b2"), replace(placed, namespace="4026531837"), HOLDER]
    assert placed.identity not in {one.identity for one in others}


def test_a_holder_is_named_as_a_reader_knows_it() -> None:
    assert str(HOLDER) == "kim on desk (process 7, install)"
