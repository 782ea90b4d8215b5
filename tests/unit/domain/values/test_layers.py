"""Merging layers, and which layer set which key."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.values.layers import Layer, LayerKind, compose, dotted, merge, overrides_of, undotted, value_at


@pytest.mark.parametrize(
    ("under", "over", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": None}}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({}, {"a": None}, {"a": None}),
    ],
)
def test_merges_as_helm_does(under: dict[str, Any], over: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge(under, over) == merged


def test_merging_changes_and_shares_nothing() -> None:
    under: dict[str, Any] = {"a": {"b": [1]}, "c": {"d": 1}}
    over: dict[str, Any] = {"a": {"e": {"f": [2]}}}
    before = copy.deepcopy((under, over))
    merged = merge(under, over)
    merged["a"]["b"].append(9)
    merged["a"]["e"]["f"].append(9)
    merged["c"]["d"] = 9
    assert (under, over) == before


def test_what_stands_in_two_places_is_merged_apart() -> None:
    shared: dict[str, Any] = {"x": [1]}
    merged = merge({"a": shared, "b": shared}, {"c": shared})
    merged["a"]["x"].append(2)
    assert merged == {"a": {"x": [1, 2]}, "b": {"x": [1]}, "c": {"x": [1]}}


@pytest.mark.parametrize("path", [("a", "b"), ("a.b", "c"), ("a\\", ".", "[x]=1,2"), ("한", " ")])
def test_a_path_reads_back_as_it_was_written(path: tuple[str, ...]) -> None:
    assert undotted(dotted(path)) == path


def layers(*values: dict[str, Any]) -> list[Layer]:
    return [Layer(name=f"layer {number}", values=one) for number, one in enumerate(values)]


def test_each_leaf_has_the_layer_that_set_it_last() -> None:
    composed = compose(layers({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": [1]}))
    assert composed.values == {"a": {"b": 1, "c": 3}, "d": [1]}
    assert composed.origins == {("a", "b"): "layer 0", ("a", "c"): "layer 1", ("d",): "layer 1"}
    assert composed.layers_of(("a", "c")) == ("layer 1",)
    assert composed.layers_of(("a",)) == ("layer 0", "layer 1")
    assert composed.layers_of(("d", "0")) == ("layer 1",)
    assert composed.layers_of(("nowhere",)) == ()


def test_what_is_replaced_is_forgotten() -> None:
    composed = compose(layers({"a": {"b": 1}}, {"a": None}, {"a": {"c": {}}}))
    assert composed.values == {"a": {"c": {}}}
    assert composed.origins == {("a", "c"): "layer 2"}


def test_an_empty_map_over_a_map_sets_nothing_and_gains_keys_later() -> None:
    assert compose(layers({"a": {"b": 1}}, {"a": {}})).origins == {("a", "b"): "layer 0"}
    assert compose(layers({"a": {}}, {"a": {"b": 1}})).origins == {("a", "b"): "layer 1"}
    assert compose(layers({"a": {}}, {"a": {}})).origins == {("a",): "layer 0"}


def test_origins_name_exactly_the_leaves() -> None:
    composed = compose(layers({"a": {"b": {"c": 1}}, "x": None}, {"a": {"b": {"d": []}}, "x": {"y": 1}}, {"a": 5}))
    assert composed.values == {"a": 5, "x": {"y": 1}}
    assert set(composed.origins) == {("a",), ("x", "y")}
    assert composed.leaves() == ((("a",), 5, "layer 2"), (("x", "y"), 1, "layer 1"))


def test_the_keys_that_later_layers_moved_are_listed() -> None:
    below, images, above = layers({"a": 0}, {"hub": "x", "tag": "1", "p": {"q": 1}}, {"hub": "y", "tag": "1"})
    moved = overrides_of((below, replace(images, kind=LayerKind.IMAGES), above), LayerKind.IMAGES)
    assert [(one.path, one.wanted, one.value, one.layer) for one in moved] == [(("hub",), "x", "y", "layer 2")]


def test_a_value_is_found_by_its_path() -> None:
    assert value_at({"a": {"b": 1}}, ("a", "b")) == 1
    assert value_at({"a": 1}, ("a", "b")) is None


def test_a_path_is_written_as_set_reads_it() -> None:
    assert dotted(("podAnnotations", "prometheus.io/port")) == "podAnnotations.prometheus\\.io/port"
