from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.traffic.callers import (
    Caller,
    allowed_by,
    allows_already,
    callers_among,
    calls,
    check_allowed,
    check_plain_text,
    peers_in,
    turns_strict,
)
from nksmesh.domain.traffic.envoy import Counts
from nksmesh.domain.traffic.objects import make_objects
from tests.unit.fakes.bookinfo import PRODUCTPAGE, REVIEWS, SLEEP, around, made_by, pod, recipe

PAGE = Caller(namespace="default", pod="productpage", account="bookinfo-productpage")
GATEWAY = Caller(namespace="istio-system", pod="ingress", account="istio-ingressgateway")

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:3A9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 101 1 0000000000000000 100
   1: 0100000A:3A9E 0800000A:D431 01 00000000:00000000 00:00000000 00000000  1337        0 102 1 0000000000000000 20
   2: 0100000A:3A9E 0700000A:D431 06 00000000:00000000 00:00000000 00000000  1337        0 103 1 0000000000000000 20
   3: 0100000A:C350 0500000A:2378 01 00000000:00000000 00:00000000 00000000  1337        0 104 1 0000000000000000 20
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 0000000000000000FFFF00000100000A:3A9E 0000000000000000FFFF00000600000A:D432 01 00000000:00000000 00:00000000
   1: B80D0120000000000000000001000000:3A9E B80D0120000000000000000002000000:D433 01 00000000:00000000 00:00000000
"""


def test_who_is_connected_to_a_proxy_is_read_from_the_kernels_files() -> None:
    assert peers_in(TCP) == {"10.0.0.8", "10.0.0.6", "2001:db8::2"}
    assert peers_in("") == frozenset()


def test_pods_with_a_proxy_are_callers_with_an_identity() -> None:
    assert callers_among([PRODUCTPAGE, SLEEP]) == (PAGE,)
    assert PAGE.identity == "cluster.local/ns/default/sa/bookinfo-productpage"


def test_whoever_sent_a_request_or_connected_is_a_caller() -> None:
    assert calls({("c", "1"): Counts(rq_total=1)})
    assert calls({("c", "1"): Counts(cx_total=1)})
    assert not calls({("c", "1"): Counts()})


def policies(*lines: str) -> tuple[Any, ...]:
    return make_objects(around().subject, [recipe(line) for line in lines]).manifests


def test_only_strict_refuses_plain_text_and_only_allow_denies_others() -> None:
    assert turns_strict(policies("mutual-tls mode=STRICT"))
    assert not turns_strict(policies("mutual-tls mode=PERMISSIVE", "timeout timeout=1s"))
    assert allowed_by(policies("authorization from=default/a,edge/*")) == (
        "cluster.local/ns/default/sa/a",
        "cluster.local/ns/edge/sa/*",
    )
    assert allowed_by(policies("authorization from=default/a action=DENY", "jwt issuer=x")) == ()


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        ("authorization from=default/bookinfo-productpage", ["istio-system/ingress"]),
        ("authorization from=default/*,istio-system/*", []),
        ("authorization from=default/other", ["default/productpage", "istio-system/ingress"]),
    ],
)
def test_callers_that_a_first_allow_policy_cuts_off_are_named(line: str, cut: list[str]) -> None:
    found = list(check_allowed(around(), [PAGE, GATEWAY], allowed_by(policies(line))))
    assert [finding.id for finding in found] == (["traffic.cut-off-callers"] if cut else [])
    assert all(name in found[0].message for name in cut)


def test_another_allow_policy_for_the_same_pods_has_cut_off_all_others_already() -> None:
    mine = made_by("nksmesh", policies("authorization from=default/a")[0])
    other = {**mine, "metadata": {"name": "other", "namespace": "default"}}
    assert not allows_already(around(mine))
    assert allows_already(around(mine, other))
    assert not allows_already(around({**other, "spec": {**other["spec"], "action": "DENY"}}))
    assert not allows_already(around({**other, "spec": {"selector": {"matchLabels": {"app": "ratings"}}}}))
    assert allows_already(around({**other, "spec": {}}))


def test_pods_without_a_proxy_are_named_the_connected_ones_first() -> None:
    far = pod("monitor", "10.0.0.7", namespace="ops", proxy=False)
    idle = pod("idle", "10.0.0.6", app="idle", proxy=False)
    place = around(pods=(*REVIEWS, PRODUCTPAGE, SLEEP, idle, far))
    connected, rest = check_plain_text(place, ["10.0.0.8", "10.0.0.7", "10.0.0.9"])
    assert connected.id == "traffic.cut-off-callers"
    assert "2 pods without a proxy are connected" in connected.message
    assert connected.message.endswith("default/sleep, ops/monitor")
    assert (rest.id, rest.message.rpartition(": ")[2]) == ("traffic.plain-text-pods", "default/idle")
    assert not list(check_plain_text(around(), []))
