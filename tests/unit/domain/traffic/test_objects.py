from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.traffic.objects import Subject, make_objects
from nksmesh.domain.traffic.recipes import RECIPES, TRAFFIC_OF, applied_to, with_applied
from tests.unit.fakes.bookinfo import recipe, recipes

REVIEWS = Subject(service="reviews", namespace="default", selector={"app": "reviews"}, versions=("v1", "v2"))
EVERYTHING = Subject(service="*", namespace="default", selector={})


def specs(*lines: str, subject: Subject = REVIEWS) -> dict[str, Any]:
    some = tuple(map(recipe, lines))
    made = make_objects(subject, some)
    assert not made.findings
    return {f"{manifest['kind']} {manifest['metadata']['name']}": manifest["spec"] for manifest in made.manifests}


def test_a_split_is_what_the_guide_applies() -> None:
    made = specs("shift v1=80 v2=20")
    assert made == {
        "VirtualService reviews": {
            "hosts": ["reviews"],
            "http": [
                {
                    "route": [
                        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 80},
                        {"destination": {"host": "reviews", "subset": "v2"}, "weight": 20},
                    ]
                }
            ],
        },
        "DestinationRule reviews": {
            "host": "reviews",
            "subsets": [
                {"name": "v1", "labels": {"version": "v1"}},
                {"name": "v2", "labels": {"version": "v2"}},
            ],
        },
    }


def test_several_recipes_make_one_virtual_service_and_one_destination_rule() -> None:
    made = specs(
        "shift v1=80 v2=20",
        "header header=end-user value=jason to=v3.1",
        "timeout timeout=2s",
        "circuit-breaker connections=1",
        "failover",
        "delay delay=1s percent=50",
        "abort status=500",
    )
    assert set(made) == {"VirtualService reviews", "DestinationRule reviews"}
    routes = made["VirtualService reviews"]["http"]
    assert [len(route.get("match", ())) for route in routes] == [1, 0]
    assert routes[0]["route"] == [{"destination": {"host": "reviews", "subset": "v3-1"}}]
    assert all(route["timeout"] == "2s" for route in routes)
    assert all(set(route["fault"]) == {"delay", "abort"} for route in routes)
    assert routes[0]["fault"] is not routes[1]["fault"]
    rule = made["DestinationRule reviews"]
    assert [subset["name"] for subset in rule["subsets"]] == ["v1", "v2", "v3-1"]
    assert set(rule["trafficPolicy"]) == {"connectionPool", "outlierDetection", "loadBalancer"}


def test_a_recipe_without_a_split_leaves_the_service_whole() -> None:
    made = specs("timeout timeout=2s")
    assert made["VirtualService reviews"]["http"] == [
        {"route": [{"destination": {"host": "reviews"}}], "timeout": "2s"}
    ]
    assert "DestinationRule reviews" not in made
    assert "subsets" not in specs("circuit-breaker")["DestinationRule reviews"]


def test_what_is_for_the_same_pods_and_of_one_name_is_one_object() -> None:
    telemetry = specs("access-log", "tracing percent=5")["Telemetry reviews-telemetry"]
    assert telemetry == {
        "selector": {"matchLabels": {"app": "reviews"}},
        "accessLogging": [{"providers": [{"name": "envoy"}]}],
        "tracing": [{"randomSamplingPercentage": 5}],
    }
    both = specs("authorization from=default/a", "authorization from=default/b action=DENY")
    assert set(both) == {
        "AuthorizationPolicy reviews-authorization-allow",
        "AuthorizationPolicy reviews-authorization-deny",
    }


def test_a_namespace_has_no_selector() -> None:
    assert specs("mutual-tls mode=STRICT", subject=EVERYTHING) == {
        "PeerAuthentication namespace-mutual-tls": {"mtls": {"mode": "STRICT"}}
    }


def test_a_token_may_be_left_out_only_where_that_was_said() -> None:
    strict = specs("jwt issuer=https://login.example.com jwks_uri=https://login.example.com/keys")
    assert strict["AuthorizationPolicy reviews-jwt"]["action"] == "DENY"
    assert strict["RequestAuthentication reviews-jwt"]["jwtRules"] == [
        {"issuer": "https://login.example.com", "jwksUri": "https://login.example.com/keys"}
    ]
    assert set(specs("jwt issuer=x missing=allow")) == {"RequestAuthentication reviews-jwt"}


def test_two_recipes_that_want_one_field_otherwise_are_refused() -> None:
    made = make_objects(REVIEWS, [recipe("circuit-breaker errors=5"), recipe("failover errors=3")])
    assert [finding.id for finding in made.findings] == ["traffic.recipes-disagree"]
    assert "set trafficPolicy.outlierDetection.consecutive5xxErrors to different values" in made.findings[0].message
    assert made.manifests == ()


def test_what_was_applied_is_read_back_from_the_objects() -> None:
    some = tuple(map(recipe, ("shift v1=80 v2=20", "header header=a value=b to=v1", "circuit-breaker", "access-log")))
    made = make_objects(REVIEWS, some)
    assert {manifest["metadata"]["labels"][TRAFFIC_OF] for manifest in made.manifests} == {"reviews"}
    assert applied_to(made.manifests, recipes()) == some
    assert make_objects(REVIEWS, applied_to(made.manifests, recipes())) == made
    assert all(ref_of(manifest).namespace == "default" for manifest in made.manifests)


def test_applying_again_replaces_and_another_rule_is_added() -> None:
    first = with_applied((), recipe("shift v1=80 v2=20"))
    first = with_applied(first, recipe("header header=a value=b to=v1"))
    again = with_applied(first, recipe("shift v1=0 v2=100"))
    assert [str(entry) for entry in again] == ["shift v1=0 v2=100", "header header=a value=b to=v1"]
    more = with_applied(again, recipe("header header=a value=c to=v2"))
    assert [str(entry) for entry in more][1:] == ["header header=a value=b to=v1", "header header=a value=c to=v2"]
    moved = with_applied(more, recipe("header header=a value=b to=v2"))
    assert [str(entry) for entry in moved][1:] == ["header header=a value=b to=v2", "header header=a value=c to=v2"]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("", "it cannot be read"),
        ("{", "it cannot be read"),
        ('{"recipe": "shift"}', "it cannot be read"),
        (json.dumps([{"recipe": "gone", "parameters": {}}]), "there is no recipe 'gone'"),
        (json.dumps([{"recipe": "timeout", "parameters": {"timeout": "never"}}]), "is not a duration"),
    ],
)
def test_an_annotation_that_is_none_is_named(annotation: str, words: str) -> None:
    metadata = {"name": "reviews", "namespace": "default", "annotations": {RECIPES: annotation}}
    with pytest.raises(ConfigError, match=f"VirtualService default/reviews, annotation nksmesh.io/recipes: .*{words}"):
        applied_to([{"kind": "VirtualService", "metadata": metadata}], recipes())
