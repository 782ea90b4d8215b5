"""``--set`` and its kind against Helm's own: what templates print of the values is the same, runes and number types.

A chart prints its values in Go's notation, which tells an int64 from a float64 where a template would: 1000000 is not
1e+06. Cases of one render stand below keys of their own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nksmesh.adapters.helm.releases import Helm
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Profile, ValuesFile
from nksmesh.domain.mesh.record import Record, hash_of
from nksmesh.domain.mesh.region_layer import ImageSource
from nksmesh.domain.mesh.release_layers import Sources, layers_of_release
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.values.layers import Layer, compose, dotted
from nksmesh.domain.values.set_values import SetKind, parse_set
from tests.adapters.helm.conftest import RELEASE, make_chart

Options: TypeAlias = list[tuple[SetKind, str]]
Values: TypeAlias = Mapping[str, Any]

BELOW: Values = {
    "list": [{"port": 80, "name": "http"}, {"port": 12345678}, None, [1, [2]]],
    "map": {"inner": {"leaf": 1, "other": 23456789}, "text": "x"},
    "number": 34567890,
}
QUICK = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
SYNTAX = 'ab..==[]{},,\\01-+n"t '
CASES = 25
"""Cases of one render: a Helm takes 80 ms to start."""

NUMBERS = [0, 1, 7, 999_999, 1_000_000, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1, 2**63, 2**64, 10**30]
INTEGERS = st.sampled_from(NUMBERS) | st.integers(0, 2**64)
WRITTEN_NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "-", "+"]),
    st.sampled_from(["", "", "", "0", "00000000000000000000000"]),
    INTEGERS,
    st.sampled_from(["", "", "", "", ".0", "e3", "E+07", "_000", " "]),
)
WORDS = st.sampled_from(
    [
        "true",
        "TRUE",
        "False",
        "fal\u017fe",
        "null",
        "Null",
        "NULL",
        "nil",
        "~",
        "yes",
        "",
        "0",
        "-0",
        "+0",
        "0x10",
        "NaN",
    ]
)
TEXTS = st.text(st.sampled_from("ab01 .,:=[]{}\\\"'#&*|\n\té\u0085\u00a0\u2028\ufeff\U0001f600%$`;-+"), max_size=8)
PLAIN = WRITTEN_NUMBERS | WORDS | TEXTS
ODD_KEYS = st.text(st.sampled_from("ab1.,=[]\\ -é\U0001f600"), min_size=1, max_size=4)
KEYS = st.sampled_from(["list", "map", "inner", "leaf"]) | ODD_KEYS
PATHS = st.lists(KEYS | st.integers(0, 3), max_size=4).map(tuple)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | INTEGERS.map(int.__neg__)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def escaped(text: str, stops: str) -> str:
    return "".join(f"\\{rune}" if rune in stops else rune for rune in text)


SCALARS = PLAIN.map(lambda text: escaped(text, ",\\{"))
LISTS = st.lists(PLAIN.map(lambda text: escaped(text, ",\\}")), max_size=4).map(lambda items: f"{{{','.join(items)}}}")
VALUES = SCALARS | LISTS
ASSIGNED = {
    SetKind.VALUE: VALUES,
    SetKind.STRING: VALUES,
    SetKind.JSON: JSON.map(json.dumps) | st.sampled_from(["", " ", " -0", "-0.0 ", "1E6", '"\\ud83d\\ude00"']),
}


@pytest.fixture
def shown(tmp_path: Path, program: str) -> Callable[[Options, Values], str]:
    """Render by plain Helm: what templates print of the values, where these options are given over ``BELOW``."""
    chart = _chart(tmp_path / "plain")

    def render(options: Options, below: Values) -> str:
        arguments = [part for kind, text in options for part in (kind.value, text)]
        done = subprocess.run(
            [program, "template", "tiny", str(chart.folder), "-f", "-", *arguments],
            input=json.dumps(below),
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        return _printed(done.stdout) if done.returncode == 0 else f"refused: {done.stderr}"

    return render


@pytest.fixture
def ours(tmp_path: Path, program: str) -> Callable[[Options, Values], str]:
    """Render by this program; the layers go through the record first, as those of a later run do."""
    chart = _chart(tmp_path / "ours")

    def render(options: Options, below: Values) -> str:
        layers = layers_of(options, below, tmp_path)
        kept = recorded(layers)
        assert kept == layers
        values = compose(kept).values
        assert hash_of(values) == hash_of(compose(layers).values)
        driven = Helm(program, kubeconfig=None, context="")
        return _printed(asyncio.run(driven.render(RELEASE, chart, values, upgrade=False)))

    return render


def layers_of(options: Options, below: Values, folder: Path) -> list[Layer]:
    """Make the layers of a release; base has none of nksmesh's own."""
    sources = Sources(
        components={"base": ValuesFile(path="below", values=below)},
        profile=Profile(name=""),
        images=ImageSource(name="", hub="", tag="1.20.0"),
        namespace="istio-system",
        sets=tuple(parse_set(f"base:{text}", kind, lambda path: (folder / path).read_text()) for kind, text in options),
    )
    return list(layers_of_release(Release(component="base", name="base", namespace="istio-system"), sources))


def recorded(layers: list[Layer]) -> list[Layer]:
    """Write layers into a record, and read them back."""
    record = Record(settings=Recorded(layers={"istiod": tuple(layers)}), hub="")
    return list(Record.from_data(json.loads(json.dumps(record.to_data()))).settings.layers["istiod"])


def _chart(folder: Path) -> Chart:
    chart = make_chart(folder)
    for template in (folder / "templates").iterdir():
        template.unlink()
    (folder / "templates/shown.yaml").write_text('shown: {{ printf "%#v" .Values | b64enc }}\n')
    return chart


def _printed(manifests: str) -> str:
    return base64.b64decode(manifests.split("shown: ")[1].split(maxsplit=1)[0]).decode()


@st.composite
def cases(draw: st.DrawFn) -> tuple[SetKind, list[tuple[tuple[str | int, ...], str]]]:
    """One option below a key of its own: its paths, and the values as they are written."""
    kind = draw(st.sampled_from(list(ASSIGNED)))
    assigned = draw(st.lists(st.tuples(PATHS, ASSIGNED[kind]), min_size=1, max_size=3))
    # Helm refuses a path through a null, which gives way here.
    known = [(path, value) for path, value in assigned if "null" not in value.casefold() and value.strip()]
    return kind, known or assigned[:1]


@QUICK
@given(drawn=st.lists(cases(), min_size=CASES, max_size=CASES))
def test_any_option_prints_what_helms_own_prints(
    drawn: list[tuple[SetKind, list[tuple[tuple[str | int, ...], str]]]],
    shown: Callable[[Options, Values], str],
    ours: Callable[[Options, Values], str],
    tmp_path: Path,
) -> None:
    below = {f"case{number}": BELOW for number in range(CASES)}
    options: Options = []
    refused: Options = []
    for number, (kind, assigned) in enumerate(drawn):
        text = ",".join(f"{dotted((f'case{number}', *path))}={value}" for path, value in assigned)
        text += "," if text.endswith("=") else ""  # else Helm forgets an empty value below an item of a list
        try:
            layers_of([(kind, text)], below, tmp_path)
        except ConfigError:
            refused.append((kind, text))
        else:
            options.append((kind, text))
    assert ours(options, below) == shown(options, below)
    for option in refused[:2]:
        assert shown([option], below).startswith("refused"), option


@settings(QUICK, max_examples=60)
@given(kind=st.sampled_from(list(ASSIGNED)), text=st.text(st.sampled_from(SYNTAX), min_size=1, max_size=12))
def test_whatever_is_taken_is_taken_by_helm_and_means_the_same(
    kind: SetKind,
    text: str,
    shown: Callable[[Options, Values], str],
    ours: Callable[[Options, Values], str],
    tmp_path: Path,
) -> None:
    options = [(kind, f"a{text}")]
    try:
        layers_of(options, {}, tmp_path)
    except ConfigError:
        return
    by_helm = shown(options, {})
    if "interface {} is nil" in by_helm:
        return  # a path through a null, which gives way here
    assert ours(options, {}) == by_helm


ORDERS = [
    [(SetKind.FILE, "a=file"), (SetKind.STRING, "a=4"), (SetKind.VALUE, "a=3"), (SetKind.JSON, "a=2")],
    [(SetKind.STRING, "a=4"), (SetKind.VALUE, "a=3000000"), (SetKind.JSON, "a=2")],
    [(SetKind.VALUE, "a.b=3000000"), (SetKind.JSON, 'a={"c":4000000}'), (SetKind.JSON, 'a.c=5,a.d={"e":1}')],
    [(SetKind.VALUE, "list[1].port=3000000"), (SetKind.JSON, "list[0]=4000000"), (SetKind.STRING, "list[2]=5000000")],
    [(SetKind.VALUE, "a={1000000,x,2000000}"), (SetKind.VALUE, "a[2]=y"), (SetKind.STRING, "a[0]=1000000")],
    [(SetKind.VALUE, "a=1000000"), (SetKind.VALUE, "a=999999")],
    [(SetKind.VALUE, "a.b=1000000"), (SetKind.VALUE, "a=null")],
    [(SetKind.VALUE, "map.inner.other=23456789"), (SetKind.VALUE, "number=34567890")],
    [(SetKind.JSON, 'map={"inner":{}}'), (SetKind.JSON, "list={}")],
    [(SetKind.JSON, "map={}"), (SetKind.VALUE, "map.inner.new=1000000")],
    [(SetKind.FILE, "a={file,file},map.inner=file")],
    [(SetKind.VALUE, "list[3][1][0]=7000000,list[5].x=8000000")],
    [(SetKind.VALUE, "list[0][0]=1,list[3].x=2")],
    [(SetKind.VALUE, "a." + ".".join(["b"] * 30) + "=1000000")],
]


@pytest.mark.parametrize("options", ORDERS)
def test_the_kinds_have_helms_order(
    options: Options, shown: Callable[[Options, Values], str], ours: Callable[[Options, Values], str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(" 안녕\n1000000\ttrue\u2028\n\n".encode())
    by_helm = shown(options, BELOW)
    try:
        assert ours(options, BELOW) == by_helm
    except ConfigError:
        assert by_helm.startswith("refused")


def test_a_key_has_as_many_levels_as_helm_takes(shown: Callable[[Options, Values], str], tmp_path: Path) -> None:
    options = [(SetKind.VALUE, "a." + ".".join(["b"] * 31) + "=1")]
    with pytest.raises(ConfigError, match="more than 30 levels"):
        layers_of(options, {}, tmp_path)
    assert shown(options, {}).startswith("refused")


def test_a_json_object_alone_is_merged(
    program: str, shown: Callable[[Options, Values], str], ours: Callable[[Options, Values], str]
) -> None:
    options = [(SetKind.JSON, ' {"map": {"inner": {"leaf": 4000000}, "new": null}, "list": {}} ')]
    by_helm = shown(options, BELOW)
    if by_helm.startswith("refused"):
        pytest.skip(f"{program} is older than Helm 3.18")
    assert ours(options, BELOW) == by_helm


def test_nothing_but_paths_and_integers_stands_on_a_command_line(tmp_path: Path) -> None:
    script = tmp_path / "helm"
    script.write_text('#!/bin/sh\ntest "$1" = version && echo v3.17.3 && exit\nprintf "%s\\n" "$@"\n')
    script.chmod(0o755)
    options = [
        (SetKind.VALUE, r"a\.b[1].c\,d=1000000,plain=hunter2,small=999999,l={x,-2000000}"),
        (SetKind.STRING, "text=3000000"),
        (SetKind.JSON, "json=4000000"),
    ]
    values = compose(layers_of(options, {"file": 5_000_000}, tmp_path)).values
    driven = Helm(str(script), kubeconfig=None, context="")
    told = asyncio.run(driven.render(RELEASE, _chart(tmp_path / "chart"), values, upgrade=False)).splitlines()
    given = [told[number + 1] for number, word in enumerate(told) if word == "--set"]
    assert given == [r"a\.b[1].c\,d=1000000", "l[1]=-2000000"]
    assert not any(word in line for line in told for word in ("hunter2", "999999", "3000000", "4000000", "5000000"))
