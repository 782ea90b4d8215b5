from __future__ import annotations

import math
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nksmesh.domain.traffic.envoy import Counts, NotEnvoyError, clusters_path, counts_of, grown
from nksmesh.domain.traffic.split import split_of, weights_of, wilson
from tests.unit.fakes.bookinfo import clusters, recipe


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Agresti and Coull, Brown, Cai and DasGupta: the usual worked examples, to four digits.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (1, 29, 0.0061, 0.1718),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),  # the same
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert math.isclose(found.share, successes / trials)


@given(some.integers(1, 10_000).flatmap(lambda trials: some.tuples(some.integers(0, trials), some.just(trials))))
def test_the_interval_holds_the_share_and_lies_between_0_and_1(counted: tuple[int, int]) -> None:
    found = wilson(*counted)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.low < found.high


def test_of_nothing_nothing_is_known() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_what_an_envoy_counted_is_read_by_cluster_and_endpoint() -> None:
    found = counts_of(clusters({"10.0.0.1": (8, 1), "10.0.0.2": (2, 0)}, subset="v1"), "reviews", "default")
    cluster = "outbound|9080|v1|reviews.default.svc.cluster.local"
    assert found == {
        (cluster, "10.0.0.1"): Counts(rq_total=8, rq_error=1),
        (cluster, "10.0.0.2"): Counts(rq_total=2),
    }
    assert counts_of(clusters({"10.0.0.1": (8, 1)}), "ratings", "default") == {}
    assert counts_of("{}", "reviews", "default") == {}


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"cluster_statuses": [1]}', '{"cluster_statuses": {"a": 1}}'])
def test_what_is_not_an_envoys_is_said(text: str) -> None:
    with pytest.raises(NotEnvoyError):
        counts_of(text, "reviews", "default")


def test_only_what_came_in_between_counts_also_where_a_proxy_began_anew() -> None:
    before = {("a", "1"): Counts(rq_total=10, rq_error=2, cx_total=3), ("a", "2"): Counts(rq_total=50)}
    after = {
        ("a", "1"): Counts(rq_total=15, rq_error=2, cx_total=4, cx_active=1),
        ("a", "2"): Counts(rq_total=3),
        ("a", "3"): Counts(rq_total=1),
    }
    assert grown(before, after) == {
        ("a", "1"): Counts(rq_total=5, cx_total=1, cx_active=1),
        ("a", "2"): Counts(rq_total=3),
        ("a", "3"): Counts(rq_total=1),
    }  # fmt: skip


def test_a_split_adds_all_callers_and_compares_with_the_weights() -> None:
    one = {("c|v1", "10.0.0.1"): Counts(rq_total=300), ("c|v2", "10.0.0.2"): Counts(rq_total=70, rq_error=7)}
    two = {("c|v1", "10.0.0.1"): Counts(rq_total=104), ("c|v2", "10.0.0.2"): Counts(rq_total=26)}
    versions = {"10.0.0.1": "v1", "10.0.0.2": "v2", "10.0.0.3": "v3"}
    v1, v2, v3 = split_of([one, two], versions, {"v1": 80, "v2": 20})
    assert (v1.version, v1.requests, v1.wanted, v1.as_wanted) == ("v1", 404, 80, True)
    assert (v2.requests, v2.errors, v2.as_wanted) == (96, 7, True)
    assert v1.part.low < 0.808 < v1.part.high
    assert (v3.requests, v3.wanted, v3.as_wanted) == (0, 0, True)
    v1, v2, _ = split_of([one, two], versions, {"v1": 50, "v2": 50})
    assert (v1.as_wanted, v2.as_wanted) == (False, False)


def test_without_weights_or_requests_nothing_is_compared() -> None:
    (row,) = split_of([{("c", "10.0.0.1"): Counts(rq_total=5)}], {"10.0.0.1": "v1"}, {})
    assert (row.wanted, row.as_wanted) == (None, None)
    (row,) = split_of([], {}, {"v1": 100})
    assert (row.requests, row.as_wanted) == (0, None)


def test_requests_to_a_pod_that_is_gone_are_counted_too() -> None:
    rows = split_of([{("c", "10.9.9.9"): Counts(rq_total=5)}], {"10.0.0.1": "v1"}, {})
    assert [(row.version, row.requests) for row in rows] == [("", 5), ("v1", 0)]


def test_the_weights_come_from_the_split() -> None:
    assert weights_of([recipe("timeout timeout=1s"), recipe("shift v1=95 v2=5")]) == {"v1": 95, "v2": 5}
    assert weights_of([recipe("header header=a value=b to=v1"), recipe("shift v1=95 v2=5")]) == {}


def test_an_envoy_is_asked_for_the_clusters_of_the_service_alone() -> None:
    asked = parse_qs(urlsplit(clusters_path("reviews", "default")).query)
    (wanted,) = asked["filter"]
    host = "reviews.default.svc.cluster.local"
    assert asked["format"] == ["json"]
    assert re.search(wanted, f"outbound|9080|v1|{host}")
    assert re.fullmatch(wanted, f"outbound|9080||{host}")
    assert not re.search(wanted, f"inbound|9080||{host}")
    assert not re.search(wanted, f"outbound|9080||my-{host}")
    assert not re.search(wanted, "outbound|9080||reviews.default.svcxcluster.local")
