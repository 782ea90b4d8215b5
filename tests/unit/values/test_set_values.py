"""``--set``: what it takes, and what it says of what it does not take. Against Helm itself: tests/adapters/files."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.errors import ConfigError
from nksmesh.domain.set_values import parse_set, set_layer


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1", {"a": 1}),
        ("a.b=x", {"a": {"b": "x"}}),
        (r"a\.b/c=x", {"a.b/c": "x"}),
        ("a=true,b=False,c=null", {"a": True, "b": False, "c": None}),
        ("a=0,b=007,c=1.5,d=-3", {"a": 0, "b": "007", "c": "1.5", "d": -3}),
        ("a={x,1,true}", {"a": ["x", 1, True]}),
        ("a={}", {"a": [""]}),
        ("a=", {"a": ""}),
        (r"a=x\,y", {"a": "x,y"}),
        ("a=x=y:z", {"a": "x=y:z"}),
        ("a[1].b=2", {"a": [None, {"b": 2}]}),
        ("a[0][1]=2", {"a": [[None, 2]]}),
        ("global.tag=120", {"global": {"tag": "120"}}),
        ("revision=7", {"revision": "7"}),
        pytest.param(f"a={'9' * 5000}", {"a": "9" * 5000}, id="more digits than Python reads"),
        ("a.b=1,a.c=2", {"a": {"b": 1, "c": 2}}),
    ],
)
def test_reads_helms_grammar(text: str, values: dict[str, Any]) -> None:
    assert set_layer(parse_set(f"istiod:{text}"), {}).values == values


def test_an_index_changes_one_item_of_the_list_below() -> None:
    below: dict[str, Any] = {"ports": [{"port": 80, "name": "a"}, {"port": 443}]}
    layer = set_layer(parse_set("gateway:ports[0].port=8080"), below)
    assert layer.values == {"ports": [{"port": 8080, "name": "a"}, {"port": 443}]}
    assert below["ports"][0]["port"] == 80


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not say for which component"),
        ("a=1", "does not say for which component"),
        (":a=1", "does not say for which component"),
        ("istiod:", "it assigns nothing"),
        ("istiod:a", "istiod:a: the key has no value"),
        ("istiod:a.b,c=1", "istiod:a.b: the key has no value"),
        ("istiod:=1", "a key is empty"),
        ("istiod:a..b=1", "a key is empty"),
        ("istiod:a[=1", "an index does not end"),
        ("istiod:a[-1]=1", "is not an index"),
        ("istiod:a[x]=1", "is not an index"),
        ("istiod:a[99999999]=1", "is not an index from 0 to 65536"),
        ("istiod:a[0]x=1", "a[0]: there is something right after an index"),
        ("istiod:a={x", "a list does not end"),
        ("istiod:a={x}y", "right after a list"),
        ("istiod:a=x\\", "lone backslash"),
    ],
)
def test_says_what_is_wrong_with_the_very_option(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as raised:
        set_layer(parse_set(text), {})
    target = text.partition(":")[0].partition("=")[0]
    assert raised.value.message.startswith(f"--set {target}:")
    assert what in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "foo.apiKey=hunter2",
        "istiod:foo.apiKey=hunter2,[",
        "istiod:foo.apiKey=x,hunter2",
        "istiod:foo.apiKey=x,hunter2[y",
        "istiod:foo.apiKey=x,y[hunter2]=1",
        "istiod:foo.apiKey={hunter2",
        "istiod:foo.apiKey={x}hunter2",
        "istiod:foo.apiKey=hunter2\\",
        "istiod:list.apiKey=hunter2",
    ],
)
def test_no_error_repeats_a_value(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        set_layer(parse_set(text), {"list": [1]})
    assert "hunter2" not in raised.value.message + raised.value.hint
    assert "apiKey" in raised.value.message


def test_a_path_through_what_is_no_map_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a is no map in the layers below"):
        set_layer(parse_set("istiod:a.b=1"), {"a": "text"})
    with pytest.raises(ConfigError, match=r"a is a map in the layers below"):
        set_layer(parse_set("istiod:a[0]=1"), {"a": {"b": 1}})
    with pytest.raises(ConfigError, match=r"a\.b is a list in the layers below"):
        set_layer(parse_set("istiod:a.b.a=1"), {"a": {"b": [1]}})


def test_a_null_on_the_way_gives_way() -> None:
    assert set_layer(parse_set("istiod:a.b=1"), {"a": None}).values == {"a": {"b": 1}}


def test_the_layers_name_leaves_the_value_out() -> None:
    assert set_layer(parse_set("istiod:a.b=secret,c[0]=x"), {}).name == "--set istiod:a.b,c[0]"
