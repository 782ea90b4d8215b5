from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.traffic.parameters import Kind, Parameter, parse_given, subset_of, values_of
from tests.unit.fakes.bookinfo import recipe, recipes


def parameter(kind: Kind, **more: object) -> Parameter:
    return Parameter(**{"name": "x", "kind": kind, "description": "What it is.", **more})  # type: ignore[arg-type]  # a test's table


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.TEXT, "jason", "jason"),
        (Kind.TEXTS, "GET,HEAD", ["GET", "HEAD"]),
        (Kind.INTEGER, "5", 5),
        (Kind.NUMBER, "0.5", 0.5),
        (Kind.NUMBER, "100", 100),
        (Kind.DURATION, "1m30s", "90s"),
        (Kind.DURATION, "250ms", "0.25s"),
        (Kind.VERSION, "v1.2", "v1.2"),
        (Kind.IDENTITIES, "default/sleep,edge/*", [
            {"namespace": "default", "account": "sleep"},
            {"namespace": "edge", "account": "*"},
        ]),
    ],
)  # fmt: skip
def test_a_text_becomes_the_value_that_stands_in_objects(kind: Kind, text: str, value: object) -> None:
    assert parameter(kind).value(text) == value


@pytest.mark.parametrize(
    ("wanted", "text", "words"),
    [
        (parameter(Kind.INTEGER), "5.5", "it is not a whole number"),
        (parameter(Kind.INTEGER, minimum=1, maximum=10), "11", "it must be 1 to 10"),
        (parameter(Kind.NUMBER, minimum=0), "-1", "it must be at least 0"),
        (parameter(Kind.NUMBER), "many", "it is not a number"),
        (parameter(Kind.DURATION, maximum=60), "2m", "it must be at most 60s"),
        (parameter(Kind.DURATION), "2", "is not a duration"),
        (parameter(Kind.CHOICE, choices=("STRICT", "PERMISSIVE")), "strict", "it must be STRICT or PERMISSIVE"),
        (parameter(Kind.TEXT, pattern="[a-z]+"), "A", r"it must look like \[a-z\]\+"),
        (parameter(Kind.VERSION), "v 1", "it cannot be the label version of a pod"),
        (parameter(Kind.IDENTITIES), "default/sleep,sleep", "'sleep' is not written NAMESPACE/SERVICEACCOUNT"),
    ],
)
def test_a_text_that_it_cannot_be_is_refused(wanted: Parameter, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        wanted.value(text)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["timeout"], "'timeout' is not written KEY=VALUE"),
        (["timeout="], "is not written KEY=VALUE"),
        (["timeout=1s", "timeout=2s"], "timeout is given twice"),
        (["timeot=1s"], "recipe timeout has no parameter 'timeot'"),
    ],
)
def test_arguments_that_are_none_are_refused(texts: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_given(texts, recipes()["timeout"].parameters, "timeout")


def test_what_is_required_must_be_given() -> None:
    with pytest.raises(ConfigError, match="recipe timeout needs timeout=") as refused:
        recipe("timeout")
    assert refused.value.hint.endswith("Run nksmesh traffic recipes timeout to see all parameters.")
    with pytest.raises(ConfigError, match="no version and its weight was given"):
        recipe("shift")


def test_versions_are_keys_where_weights_are_asked_for_and_nowhere_else() -> None:
    assert recipe("shift v1=80 v1.2_A=20").values["weights"] == [
        {"version": "v1", "subset": "v1", "weight": 80},
        {"version": "v1.2_A", "subset": "v1-2-a", "weight": 20},
    ]
    assert recipe("shift v1=80 v2=20").versions == {"v1": True, "v2": True}
    assert recipe("shift v1=0 v2=100").versions == {"v1": False, "v2": True}
    with pytest.raises(ConfigError, match="v1=101: it must be 0 to 100"):
        recipe("shift v1=101")
    with pytest.raises(ConfigError, match="has no parameter 'v1'"):
        recipe("retry v1=80")


def test_defaults_stand_for_what_is_not_given_and_the_rest_is_left_out() -> None:
    retry = recipes()["retry"]
    assert values_of({"attempts": "2"}, retry.parameters, "retry") == {
        "attempts": 2,
        "on": "5xx,connect-failure,refused-stream",
    }


def test_the_subset_of_a_version_is_a_dns_label() -> None:
    assert [subset_of(version) for version in ("v1", "V1.2", "1_0")] == ["v1", "v1-2", "1-0"]
