from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.traffic.objects import make_objects
from nksmesh.domain.traffic.rules import (
    check_gateways,
    check_order,
    check_owners,
    check_place,
    check_recipes,
    check_rivals,
    left_out,
)
from nksmesh.domain.traffic.surroundings import Surroundings
from tests.unit.fakes.bookinfo import (
    PRODUCTPAGE,
    REVIEWS,
    around,
    made_by,
    namespace,
    pod,
    recipe,
    virtual_service,
)

NODE = {"metadata": {"name": "a", "labels": {"topology.kubernetes.io/region": "kr1"}}}


def ids(findings: Any) -> list[str]:
    return [finding.id for finding in findings]


@pytest.mark.parametrize(
    ("place", "rules"),
    [
        (around(), []),
        (around(name="*"), []),
        (replace(around(), namespaced=None), ["traffic.missing-namespace"]),
        (replace(around(), namespaced=namespace(deletionTimestamp="2026-11-26")), ["traffic.ending-namespace"]),
        (replace(around(), found=None), ["traffic.unknown-service"]),
    ],
)
def test_where_recipes_are_applied_must_be_there(place: Surroundings, rules: list[str]) -> None:
    assert ids(check_place(place, ["reviews", "ratings"])) == rules


def test_the_service_that_was_meant_is_named() -> None:
    (found,) = check_place(replace(around(name="review"), found=None), ["reviews", "ratings"])
    assert found.hint.startswith("Did you mean 'reviews'? Run kubectl get services -n default")


@pytest.mark.parametrize(
    ("line", "place", "rules"),
    [
        ("shift v1=80 v2=20", around(), []),
        ("shift v1=80 v2=10", around(), ["traffic.weights-sum"]),
        ("shift v1=80 v3=20", around(), ["traffic.version-not-ready"]),
        ("shift v1=100 v3=0", around(), []),
        ("shift v1=80 v4=20", around(), ["traffic.version-not-ready"]),
        ("header header=a value=b to=v3", around(), ["traffic.version-not-ready"]),
        ("shift v1=100", around(pods=(pod("x", "10.0.0.1", version=""),)), ["traffic.no-versions"]),
        ("shift v1=100", around(pods=()), ["traffic.no-versions"]),
        ("timeout timeout=1s", around(port="tcp-db"), ["traffic.not-http"]),
        ("timeout timeout=1s", around(port="https"), ["traffic.not-http"]),
        ("timeout timeout=1s", around(port="grpc"), []),
        ("timeout timeout=1s", around(port=""), []),
        ("timeout timeout=1s", around(port="web"), []),
        ("mutual-tls mode=STRICT", around(), []),
        ("mutual-tls mode=STRICT", around(pods=(pod("x", "10.0.0.1", proxy=False),)), ["traffic.no-proxy"]),
        ("mutual-tls mode=STRICT", around(name="*"), []),
        ("timeout timeout=1s", around(name="*"), ["traffic.not-of-namespace"]),
        ("failover", around(), ["traffic.no-locality"]),
        ("failover", around(nodes=(NODE,)), []),
    ],
)
def test_a_recipe_that_would_not_do_what_it_says_is_refused(line: str, place: Surroundings, rules: list[str]) -> None:
    assert ids(check_recipes(place, [recipe(line)])) == rules


def test_a_service_without_a_proxy_gets_the_command_that_gives_it_one() -> None:
    (finding,) = check_recipes(around(pods=(pod("x", "10.0.0.1", proxy=False),)), [recipe("mutual-tls mode=STRICT")])
    assert finding.hint == "Run nksmesh inject enable default --restart."


def test_a_service_without_a_selector_would_make_a_policy_of_the_whole_namespace() -> None:
    bare = replace(around(), found={"metadata": {"name": "reviews"}, "spec": {}})
    assert "traffic.no-selector" in ids(check_recipes(bare, [recipe("access-log")]))
    assert ids(check_recipes(bare, [recipe("timeout timeout=1s")])) == []


def test_a_version_that_is_not_ready_is_told_with_those_that_are() -> None:
    (found,) = check_recipes(around(), [recipe("shift v1=80 v3=20")])
    assert found.message == ("version v3 of Service default/reviews cannot take requests: none of its 1 pods is ready")
    assert found.hint == "The versions with ready pods are v1, v2."


def test_a_service_without_versions_is_told_which_label_they_are_known_by() -> None:
    (found,) = check_recipes(around(pods=(pod("x", "10.0.0.1", version=""),)), [recipe("shift v1=100")])
    assert found.message == (
        "no pod of Service default/reviews has the label version, so it has no versions to tell apart"
    )
    assert found.hint == "Set the label version in the pod templates of its workloads, one value for each version."


def test_recipes_that_do_not_go_well_together_are_a_warning() -> None:
    found = tuple(check_recipes(around(), [recipe("timeout timeout=1s"), recipe("delay delay=2s")]))
    assert [(finding.id, finding.level) for finding in found] == [("traffic.recipes-clash", Level.WARNING)]


HEADER_RULES = [
    (["header=a value=b"], ["header=a value=c"], False),
    (["header=a value=b"], ["header=x value=b"], False),
    (["header=a value=b match=prefix"], ["header=a value=bcd"], True),
    (["header=a value=b match=prefix"], ["header=a value=bc match=prefix"], True),
    (["header=a value=bc match=prefix"], ["header=a value=b match=prefix"], False),
    (["header=a value=.* match=regex"], ["header=a value=b match=prefix"], True),
    (["header=a value=b.d match=regex"], ["header=a value=bcd"], True),
    (["header=a value=b.d match=regex"], ["header=a value=bcde"], False),
    (["header=a value=(?P<x match=regex"], ["header=a value=b"], False),
    (["header=a value=b"], ["header=a value=b match=prefix"], False),
]


@pytest.mark.parametrize(("earlier", "later", "swallowed"), HEADER_RULES)
def test_a_header_rule_behind_one_that_takes_all_its_requests_is_refused(
    earlier: list[str], later: list[str], swallowed: bool
) -> None:
    some = [recipe(f"header {rule} to=v1") for rule in (*earlier, *later)]
    assert ids(check_recipes(around(), some)) == (["traffic.swallowed-rule"] if swallowed else [])


def test_a_rule_behind_one_for_all_requests_is_refused_and_a_wider_one_before_one_header_is_not() -> None:
    match = {"headers": {"a": {"exact": "1"}}}
    both = {"headers": {"a": {"exact": "1"}, "b": {"exact": "2"}}}
    assert ids(check_order([{"route": []}, {"match": [match]}])) == ["traffic.swallowed-rule"]
    assert ids(check_order([{"match": [match]}, {"match": [both]}])) == ["traffic.swallowed-rule"]
    assert ids(check_order([{"match": [both]}, {"match": [match]}])) == []
    assert ids(check_order([{"match": [{"uri": {"exact": "/"}}]}, {"match": [match]}])) == []


def owned(place: Surroundings, *, written: bool = True) -> list[Finding]:
    made = make_objects(place.subject, [recipe("timeout timeout=1s")])
    return [
        *check_owners(place, made.manifests, written=written),
        *check_rivals(place, made.manifests, written=written),
    ]


OURS = make_objects(around().subject, [recipe("timeout timeout=1s")]).manifests[0]
EDITED = [{"manager": "kubectl-edit"}, {"manager": "nksmesh"}]
ARGO = {
    **OURS["metadata"],
    "annotations": {"argocd.argoproj.io/tracking-id": "shop:networking.istio.io/VirtualService:default/reviews"},
}


@pytest.mark.parametrize(
    ("live", "owner"),
    [
        (made_by("nksmesh", OURS), ""),
        ({**OURS, "metadata": {**OURS["metadata"], "managedFields": EDITED}}, ""),
        (made_by("kubectl-client-side-apply", OURS), "kubectl apply"),
        (made_by("kustomize-controller", OURS), "Flux"),
        ({**OURS, "metadata": {**ARGO, "managedFields": [{"manager": "nksmesh"}]}}, "Argo CD (Application shop)"),
        (made_by("nksmesh", virtual_service("reviews", ["reviews"])), "nksmesh (its field manager)"),
        (made_by("terraform", virtual_service("reviews", ["reviews"])), "terraform (its field manager)"),
    ],
)  # fmt: skip
def test_only_what_nksmesh_made_and_no_tool_keeps_is_written(live: dict[str, Any], owner: str) -> None:
    found = owned(around(live))
    assert [(finding.id, finding.level) for finding in found] == (
        [("traffic.foreign-object", Level.FAILURE)] if owner else []
    )
    assert not owner or owner in found[0].message
    assert all(finding.level is Level.WARNING for finding in owned(around(live), written=False))


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        (virtual_service("mine", ["reviews"]), True),
        (virtual_service("mine", ["reviews.default.svc.cluster.local"]), True),
        (virtual_service("mine", ["reviews"], gateways=["edge"]), False),
        (virtual_service("mine", ["ratings"]), False),
    ],
)
def test_another_object_about_the_same_host_is_refused(other: dict[str, Any], taken: bool) -> None:
    assert ids(owned(around(other))) == (["traffic.other-object"] if taken else [])


def test_another_object_is_in_the_way_only_of_one_of_its_kind() -> None:
    place = around(virtual_service("mine", ["reviews"]))
    rule = make_objects(place.subject, [recipe("circuit-breaker")]).manifests
    assert ids(check_rivals(place, rule, written=True)) == []


def test_a_short_host_is_of_its_own_namespace() -> None:
    elsewhere = virtual_service("mine", ["reviews"])
    elsewhere["metadata"]["namespace"] = "other"
    assert ids(owned(around(elsewhere))) == []


def test_a_gateway_that_sends_requests_to_the_service_itself_is_a_warning() -> None:
    route = virtual_service("bookinfo", ["*"], gateways=["bookinfo-gateway"], to="reviews")
    made = make_objects(around().subject, [recipe("shift v1=100")]).manifests
    assert ids(check_gateways(around(route), made)) == ["traffic.gateway-route"]
    assert ids(check_gateways(around(virtual_service("x", ["*"], gateways=["g"], to="ratings")), made)) == []
    assert (
        ids(check_gateways(around(route), make_objects(around().subject, [recipe("circuit-breaker")]).manifests)) == []
    )


def test_versions_that_a_split_gives_nothing_are_a_note() -> None:
    (note,) = left_out(around(), recipe("shift v1=80 v2=20"))
    assert (note.level, note.message) == (Level.NOTE, "v3 of reviews gets no requests: it has no weight")
    assert not list(left_out(around(), recipe("timeout timeout=1s")))


def test_pods_of_other_namespaces_and_those_that_ended_are_not_the_services() -> None:
    gone = pod("gone", "10.0.0.5", version="v5")
    gone["status"]["phase"] = "Failed"
    place = around(pods=(*REVIEWS, PRODUCTPAGE, gone, pod("far", "10.0.0.6", namespace="other", version="v6")))
    assert [(version.name, version.pods, version.ready) for version in place.versions] == [
        ("v1", 1, 1),
        ("v2", 1, 1),
        ("v3", 1, 0),
    ]
