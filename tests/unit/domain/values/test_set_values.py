"""``--set``: what it takes, and what it says of what it does not take. Against Helm itself: tests/adapters/files."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.values.layers import Layer, compose
from nksmesh.domain.values.set_integers import SetInteger, set_integers
from nksmesh.domain.values.set_values import SetKind, parse_set, set_layer


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
        ("tag=20240101,revision=true", {"tag": "20240101", "revision": "true"}),
        ("tag=null", {"tag": None}),
        ("a=-007,b=+0,c=-0,d=00", {"a": -7, "b": 0, "c": 0, "d": "00"}),
        ("a=-00000000000000000000000001", {"a": -1}),
        ("a=9223372036854775807,b=9223372036854775808", {"a": 2**63 - 1, "b": "9223372036854775808"}),
        ("a=-9223372036854775808,b=-9223372036854775809", {"a": -(2**63), "b": "-9223372036854775809"}),
        ("a[+1]=x", {"a": [None, "x"]}),
        ("a[0]=1,a[0].b=2", {"a": [{"b": 2}]}),
        pytest.param(f"a={'9' * 5000}", {"a": "9" * 5000}, id="more digits than Python reads"),
        ("a.b=1,a.c=2", {"a": {"b": 1, "c": 2}}),
    ],
)
def test_reads_helms_grammar(text: str, values: dict[str, Any]) -> None:
    assert set_layer(parse_set(f"istiod:{text}"), {}).values == values


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a=999999,b=-999999,c=1e6,d=01000000", []),
        ("a=1000000,b=-1000000,c=+1000000", [("a",), ("b",), ("c",)]),
        ("a={x,1000000},l[1].b=2000000", [("a", 1), ("l", 1, "b")]),
        ("tag=1000000,revision=1000000", []),
    ],
)
def test_integers_that_a_file_would_make_floats_of_are_marked(text: str, where: list[tuple[str | int, ...]]) -> None:
    below = {"l": [{"b": 5_000_000}, {"c": 6_000_000}]}
    layer = set_layer(parse_set(f"istiod:{text}"), below)
    assert [path for path, _ in set_integers(layer.values)] == where


def test_what_is_set_otherwise_later_is_an_integer_no_more() -> None:
    layers = [Layer(name="f", values={"a": 1_000_000, "b": 1_000_000})]
    layers.append(set_layer(parse_set("istiod:a=1000000,b=1000000,c={1000000}"), layers[0].values))
    assert len(set_integers(compose(layers).values)) == 3
    layers.append(set_layer(parse_set("istiod:a=1000000,c=1000000", SetKind.JSON), compose(layers).values))
    assert set_integers(compose(layers).values) == ((("b",), 1_000_000),)


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        (
            SetKind.STRING,
            "a=1,b=true,c=null,d={1,x},e=",
            {"a": "1", "b": "true", "c": "null", "d": ["1", "x"], "e": ""},
        ),
        (SetKind.JSON, 'a={"x":[1,null]} ,b="1,2",c=', {"a": {"x": [1, None]}, "b": "1,2", "c": None}),
        (SetKind.JSON, "a[1].b=true,tag=7", {"a": [None, {"b": True}], "tag": 7}),
        (SetKind.JSON, "a=1000000000000000000000", {"a": 10**21}),
        (SetKind.JSON, '{"a": {"b": 1}, "c": []}', {"a": {"b": 1}, "c": []}),
        (SetKind.FILE, "a=one,b={one,two\\,}", {"a": "<one>", "b": ["<one>", "<two,>"]}),
    ],
)
def test_each_kind_reads_values_in_its_own_way(kind: SetKind, text: str, values: dict[str, Any]) -> None:
    option = parse_set(f"istiod:{text}", kind, lambda path: f"<{path}>")
    layer = set_layer(option, {})
    assert layer.values == values
    assert layer.option == "--set"
    assert layer.name.startswith(f"{kind} istiod:")
    assert not any(isinstance(value, SetInteger) for value in layer.values.values())


def test_a_map_in_json_takes_the_place_of_the_one_below_and_an_object_alone_is_merged() -> None:
    below = Layer(name="below", values={"a": {"b": 1, "c": {"d": 2}}, "e": 3})

    def over(*texts: str) -> dict[str, Any]:
        layers = [below]
        for text in texts:
            layers.append(set_layer(parse_set(f"istiod:{text}", SetKind.JSON), compose(layers).values))
        composed = compose(layers)
        assert all(origin in {"below", layers[-1].name} for origin in composed.origins.values())
        return dict(composed.values)

    assert over('a={"x":1}') == {"a": {"x": 1}, "e": 3}
    assert over('a={"x":1},a.y=2') == {"a": {"x": 1, "y": 2}, "e": 3}
    assert over('a.y=2,a={"x":1}') == {"a": {"x": 1}, "e": 3}
    assert over("a.c={}") == {"a": {"b": 1, "c": {}}, "e": 3}
    assert over('{"a":{"x":1,"c":{}}}') == {"a": {"b": 1, "c": {"d": 2}, "x": 1}, "e": 3}


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        (SetKind.STRING, "a=1", "--set-string a: it does not name a component"),
        (SetKind.STRING, "istiod:a", "--set-string istiod:a: the key has no value"),
        (SetKind.JSON, "istiod:a.b=[hunter2", "--set-json istiod:a.b: the value is not JSON: Expecting value, at"),
        (SetKind.JSON, "istiod:a='hunter2'", "--set-json istiod:a: the value is not JSON: Expecting value, at char"),
        (SetKind.JSON, 'istiod:a="hunter2" b', "--set-json istiod:a: unexpected text after the JSON value"),
        (SetKind.JSON, "istiod:a=NaN", "NaN and Infinity are not valid JSON"),
        (SetKind.JSON, "istiod:a=1e400", "too large for a float64"),
        (SetKind.JSON, f"istiod:a={'9' * 5000}", "too large for a float64"),
        (SetKind.JSON, r'istiod:a="\ud800"', "half of a surrogate pair"),
        (SetKind.JSON, f"istiod:a={'[' * 100_000}", "nested too deeply"),
        (SetKind.JSON, 'istiod:a=1,b="hunter2', "istiod:a: after the comma that follows it, the value is not JSON"),
        (SetKind.JSON, "istiod:{}", "--set-json istiod: it sets no value"),
        (SetKind.JSON, 'istiod:{"a": hunter2}', "--set-json istiod: the value is not JSON: Expecting value, at"),
        (SetKind.JSON, 'istiod:{"a":1} hunter2', "unexpected text after the JSON object"),
        (SetKind.FILE, "istiod:a=", "--set-file istiod:a: no file is given"),
        (SetKind.FILE, "istiod:a={x.pem,}", "--set-file istiod:a: no file is given"),
        (SetKind.FILE, "istiod:a.b=certs/x.pem", "--set-file istiod:a.b: certs/x.pem cannot be read: No such file"),
        (SetKind.VALUE, f"istiod:a{'.b' * 31}=1", "more than 30 levels"),
        (SetKind.VALUE, "istiod:a=\udcff", "--set: it is not UTF-8"),
    ],
)
def test_each_kind_says_what_is_wrong_without_the_value(kind: SetKind, text: str, what: str) -> None:
    def read(path: str) -> str:
        if path == "x.pem":
            return "hunter2"
        raise ConfigError(f"{path} cannot be read: No such file or directory", hint="Check the path.")

    with pytest.raises(ConfigError) as raised:
        parse_set(text, kind, read)
    assert what in raised.value.message
    assert raised.value.hint
    assert "hunter2" not in raised.value.message + raised.value.hint


def test_an_index_changes_one_item_of_the_list_below() -> None:
    below: dict[str, Any] = {"ports": [{"port": 80, "name": "a"}, {"port": 443}]}
    layer = set_layer(parse_set("gateway:ports[0].port=8080"), below)
    assert layer.values == {"ports": [{"port": 8080, "name": "a"}, {"port": 443}]}
    assert below["ports"][0]["port"] == 80


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not name a component"),
        ("a=1", "does not name a component"),
        (":a=1", "does not name a component"),
        ("istiod:", "it sets no value"),
        ("istiod:a", "istiod:a: the key has no value"),
        ("istiod:a.b,c=1", "istiod:a.b: the key has no value"),
        ("istiod:=1", "a key is empty"),
        ("istiod:a..b=1", "a key is empty"),
        ("istiod:a[=1", "an index does not end"),
        ("istiod:a[-1]=1", "is not an index"),
        ("istiod:a[x]=1", "is not an index"),
        ("istiod:a[99999999]=1", "is not an index from 0 to 65536"),
        ("istiod:a[0]x=1", "a[0]: unexpected text after an index"),
        ("istiod:a={x", "a list does not end"),
        ("istiod:a={x}y", "unexpected text after a list"),
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
