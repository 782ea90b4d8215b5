"""Misspelt keys."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.charts.known_keys import unknown_keys
from nksmesh.domain.values.layers import Layer

PLAIN: dict[str, Any] = {
    "global": {"hub": "docker.io/istio", "proxy": {"image": "proxyv2", "resources": {"requests": {"cpu": "1"}}}},
    "pilot": {"traceSampling": 1.0, "env": {}, "replicaCount": None, "podAnnotations": {"a": "b"}},
    "meshConfig": {"enablePrometheusMerge": True},
}
DEFAULTS: dict[str, Any] = {"defaults": PLAIN}
INTERNAL: dict[str, Any] = {
    "_internal_defaults_do_not_set": {**{key: PLAIN[key] for key in ("global", "meshConfig")}, **PLAIN["pilot"]}
}


def found(values: dict[str, Any], defaults: dict[str, Any], *, ours: bool = False) -> list[tuple[str, str]]:
    layer = Layer(name="environment prod (istiod.yaml)", values=values, ours=ours)
    findings = unknown_keys("istiod", [layer], defaults)
    assert all(finding.subject == layer.name and layer.name in finding.message for finding in findings)
    return [(finding.message.split("no key ")[1], finding.hint) for finding in findings]


@pytest.mark.parametrize("defaults", [PLAIN, DEFAULTS, INTERNAL], ids=["1.20", "1.21", "1.24"])
def test_a_misspelt_key_is_told_with_the_nearest(defaults: dict[str, Any]) -> None:
    assert found({"global": {"proxy": {"imgae": "x"}}}, defaults) == [
        ("global.proxy.imgae", "Did you mean global.proxy.image?")
    ]
    assert found({"pilot": {"traceSamplng": 5}}, defaults) == [
        ("pilot.traceSamplng", "Did you mean pilot.traceSampling?")
    ]
    assert found({"globl": {"hub": "x"}}, defaults) == [("globl", "Did you mean global?")]
    assert found({"zzz": 1}, defaults)[0][0] == "zzz"


@pytest.mark.parametrize("defaults", [PLAIN, DEFAULTS, INTERNAL], ids=["1.20", "1.21", "1.24"])
@pytest.mark.parametrize(
    "values",
    [
        {"meshConfig": {"accessLogFile": "/dev/stdout", "any": {"thing": 1}}},
        {"pilot": {"env": {"PILOT_X": "1"}}},
        {"pilot": {"podAnnotations": {"c": "d"}}},
        {"pilot": {"replicaCount": {"odd": 1}}},
        {"global": {"proxy": {"resources": {"limits": {"cpu": "2"}}}}},
        {"global": None},
    ],
)
def test_open_maps_never_warn(values: dict[str, Any], defaults: dict[str, Any]) -> None:
    assert found(values, defaults) == []


def test_a_key_in_the_wrong_place_is_told_its_place() -> None:
    assert found({"hub": "x"}, PLAIN) == [("hub", "Did you mean global.hub?")]


def test_the_charts_own_nest_is_not_for_users() -> None:
    assert found({"defaults": {"global": {}}}, DEFAULTS)[0][1].startswith("Write the keys below defaults at the top")


def test_istiods_settings_may_stand_at_the_top_only_where_the_chart_has_them_there() -> None:
    assert found({"traceSampling": 5}, INTERNAL) == []
    assert found({"traceSampling": 5}, DEFAULTS) == [("traceSampling", "Did you mean pilot.traceSampling?")]
    assert found({"pilot": {"meshConfig": {}}}, DEFAULTS)[0][0] == "pilot.meshConfig"


def test_our_own_layers_never_warn() -> None:
    assert found({"zzz": 1}, PLAIN, ours=True) == []
