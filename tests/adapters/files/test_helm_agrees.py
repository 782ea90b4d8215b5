"""Our merge, our YAML and our --set against Helm's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nksmesh.adapters.files.documents import parse_document
from nksmesh.domain.values.layers import Layer, compose, merge
from nksmesh.domain.values.set_values import parse_set, set_layer

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "null", "1"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=3)

CASES = 25
"""Cases of one Helm run: each stands below a key of its own, which Helm merges apart from the others."""

SCALAR_TEXTS = f"""\
a: 12:30:45
b: 2024-01-01
c: 1e3
d: 1.20
e: 0777
f: 0o17
g: 1_000
h: yes
i: y
j: .5
k: "1"
l: 0x1F
m: 1.
n: -0b11
o: 08
8080: port
true: t
1.5: f
p: +12
q: off
r: "<<"
s: 2024-01-01T00:00:00Z
t: !!str 12
u: 1e400
v: 0b12
w: =
x: {{<<: {{y: 1}}, z: 2}}
z: {"9" * 400}
aa: -{"9" * 5000}
bb: 0x{"f" * 400}
"""

SETS = [
    "a=1",
    "a.b=x,a.c=y",
    r"a\.b=x",
    "a=true,b=FALSE,c=null,d=0",
    "a=007,b=1.5,c=-3,d=+4,e=-0,f=1e3,g=9223372036854775808",
    "a={x,1,true,null}",
    "a={},b=2",
    "a={x},b=2",
    "a=,b=1",
    r"a=x\,y",
    "a=x=y",
    "list[0].port=8080",
    "list[3]=new",
    "list[0].deep[1].x=1",
    "a[1][0]=z",
    "map.inner.leaf=5",
    "map=null",
    "map.inner=null",
    r"annotations.prometheus\.io/port=15020",
]
BELOW = {"list": [{"port": 80, "name": "http"}, {"port": 443}], "map": {"inner": {"leaf": 1, "other": 2}}, "d": [1]}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases=st.lists(st.tuples(MAPS, st.lists(MAPS, min_size=2, max_size=4)), min_size=CASES, max_size=CASES))
def test_one_merged_dict_gives_what_several_files_give(
    cases: list[tuple[dict[str, Any], list[dict[str, Any]]]], helm: str, echo: Callable[..., Any], tmp_path: Path
) -> None:
    defaults = {f"case{number}": chart for number, (chart, _) in enumerate(cases)}
    layers = [
        {f"case{number}": files[depth] for number, (_, files) in enumerate(cases) if depth < len(files)}
        for depth in range(4)
    ]
    options = []
    for depth, values in enumerate(layers):
        (tmp_path / f"{depth}.yaml").write_text(json.dumps(values))
        options += ["-f", f"{depth}.yaml"]
    by_helm = echo(helm, *options, defaults=defaults)
    composed = compose(Layer(name=str(depth), values=values) for depth, values in enumerate(layers))
    assert echo(helm, "-f", "-", defaults=defaults, stdin=json.dumps(composed.values)) == by_helm
    # With no defaults beneath, Helm's values are the merge itself.
    assert echo(helm, *options) == echo(helm, "-f", "-", stdin=json.dumps(composed.values))


@given(under=MAPS, over=MAPS, top=MAPS)
def test_merging_is_associative(under: dict[str, Any], over: dict[str, Any], top: dict[str, Any]) -> None:
    assert (
        merge(merge(under, over), top)
        == compose([Layer(name="1", values=under), Layer(name="2", values=over), Layer(name="3", values=top)]).values
    )


@given(layers=st.lists(MAPS, min_size=1, max_size=4))
def test_every_leaf_has_an_origin_that_set_it(layers: list[dict[str, Any]]) -> None:
    composed = compose(Layer(name=str(number), values=values) for number, values in enumerate(layers))

    def leaves(value: Any, path: tuple[str, ...]) -> set[tuple[str, ...]]:
        if isinstance(value, dict) and value:
            return set().union(*(leaves(inner, (*path, key)) for key, inner in value.items()))
        return {path}

    assert set(composed.origins) == (leaves(composed.values, ()) if composed.values else set())
    for path, value, origin in composed.leaves():
        told: Any = layers[int(origin)]
        for key in path:
            told = told[key]
        assert told == value


def test_yaml_means_what_it_means_to_helm(helm: str, echo: Callable[..., Any]) -> None:
    ours = dict(parse_document(SCALAR_TEXTS.encode(), "x.yaml").values)
    assert ours == echo(helm, "-f", "-", stdin=SCALAR_TEXTS)


@pytest.mark.parametrize("text", SETS)
def test_set_means_what_it_means_to_helm(text: str, helm: str, echo: Callable[..., Any]) -> None:
    by_helm = echo(helm, "-f", "-", "--set", text, stdin=json.dumps(BELOW))
    ours = merge(BELOW, set_layer(parse_set(f"istiod:{text}"), BELOW).values)
    assert echo(helm, "-f", "-", stdin=json.dumps(ours)) == by_helm
