from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.traffic.placeholders import fill, names_in

VALUES = {
    "service": "reviews",
    "seconds": "2s",
    "count": 3,
    "labels": {"app": "reviews"},
    "rows": [{"name": "v1", "weight": 80}, {"name": "v2", "weight": 20}],
    "names": ["a", "b"],
}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("${count}", 3),
        ("${labels}", {"app": "reviews"}),
        ("host ${service}, ${count} times", "host reviews, 3 times"),
        ({"${service}": {"exact": "${seconds}"}}, {"reviews": {"exact": "2s"}}),
        ({"a": "${absent}", "b": 1}, {"b": 1}),
        ({"a": "with ${absent}", "b": 1}, {"b": 1}),
        ({"a": {"b": {"c": "${absent}"}}}, None),
        ({"a": ["${absent}"], "b": {}}, {"b": {}}),
        ({"a": [{"x": "${absent}"}, 1]}, {"a": [1]}),
        ({"route": {"$each": "rows", "$item": {"subset": "${each.name}", "weight": "${each.weight}"}}}, {
            "route": [{"subset": "v1", "weight": 80}, {"subset": "v2", "weight": 20}],
        }),
        ({"$each": "names", "$item": "/${each}"}, ["/a", "/b"]),
        ({"x": {"$each": "absent", "$item": "${each}"}, "y": 1}, {"y": 1}),
        (True, True),
    ],
)  # fmt: skip
def test_values_are_put_in_and_what_has_none_goes(template: Any, filled: Any) -> None:
    assert fill(template, VALUES) == filled


def test_a_value_is_never_read_as_a_template_or_as_yaml() -> None:
    assert fill({"a": "${x}", "b": "is ${x}"}, {"x": "${y}: {z: 1}", "y": "1"}) == {
        "a": "${y}: {z: 1}",
        "b": "is ${y}: {z: 1}",
    }


def test_the_names_that_a_template_asks_for_are_known() -> None:
    template = {"${a}": ["${b} and ${c}"], "d": {"$each": "e", "$item": {"x": "${each.key} ${f}"}}}
    assert sorted(names_in(template)) == ["a", "b", "c", "e", "f"]
