from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.adapters.files.documents import parse_document
from nksmesh.adapters.helm_yaml import document
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock, newest_first, parse_lock, public_ref, public_source
from nksmesh.domain.common.errors import ChartError, ConfigError, IstioctlError
from nksmesh.domain.istioctl.archive import IstioctlArchive, Origin
from nksmesh.domain.istioctl.pins import IstioctlPin, IstioctlPins, with_pin

REF = ChartRef(name="istiod", version="1.20.0")
ONE = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64

names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)
versions = st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,2}(-[a-z0-9]{1,5})?", fullmatch=True)
sources = st.one_of(
    st.from_regex(r"https?://[a-z0-9.-]{1,12}(:[0-9]{1,4})?(/[A-Za-z0-9._~-]{1,8}){0,3}", fullmatch=True),
    st.text(min_size=1, max_size=20),
).filter(lambda source: source == public_source(source) and source.isprintable())
digests = st.none() | st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}")
refs = st.builds(ChartRef, name=names, version=versions, source=sources)


@given(st.dictionaries(refs, digests, max_size=3), st.data())
def test_a_lock_reads_as_it_was_written(entries: dict[ChartRef, str | None], data: st.DataObject) -> None:
    some = st.dictionaries(st.sampled_from(sorted(entries)), digests.filter(bool)) if entries else st.just({})
    manifests: Any = data.draw(some)
    text = Lock(entries=entries, manifests=manifests).text()
    again = parse_lock(document(text.encode()))
    assert (again.entries, again.manifests) == (entries, manifests)
    assert again.text() == text


@given(st.lists(st.tuples(refs, digests), max_size=3, unique_by=lambda entry: entry[0]), st.randoms())
def test_the_order_of_entries_does_not_change_the_text(entries: list[tuple[ChartRef, str | None]], random: Any) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert Lock(entries=dict(shuffled)).text() == Lock(entries=dict(entries)).text()


def test_the_text_says_whose_it_is() -> None:
    assert "\nnksmesh: 1\n" in Lock().text()
    assert parse_lock(document(Lock().text().encode())).entries == {}


def test_an_archive_that_differs_is_refused_with_both_digests() -> None:
    lock = Lock(entries={REF: ONE}, file="mine/charts.lock")
    lock.check(REF, ONE)
    with pytest.raises(ChartError) as refused:
        lock.check(REF, OTHER)
    assert ONE in refused.value.detail
    assert OTHER in refused.value.detail
    assert "mine/charts.lock" in refused.value.message


def test_entries_are_keyed_by_chart_version_and_source() -> None:
    lock = Lock(entries={REF: ONE})
    for other in (
        ChartRef(name="base", version="1.20.0"),
        ChartRef(name="istiod", version="1.20.1"),
        ChartRef(name="istiod", version="1.20.0", source="https://mirror.example/charts"),
    ):
        lock.check(other, OTHER)
        assert lock.digest(other) is None


def test_pinning_keeps_the_rest_and_refuses_another_digest() -> None:
    lock = Lock(entries={REF: None}).pin(REF, ONE).pin(ChartRef(name="base", version="1.20.0"), OTHER)
    assert sorted(lock.entries.values(), key=str) == [ONE, OTHER]
    with pytest.raises(ChartError, match="not the archive"):
        lock.pin(REF, OTHER)


def test_locked_refuses_what_is_not_pinned() -> None:
    Lock(entries={REF: ONE}).require(REF)
    for lock in (Lock(), Lock(entries={REF: None})):
        with pytest.raises(ChartError, match="--locked"):
            lock.require(REF)


def test_a_user_and_password_find_the_entry_and_are_never_written() -> None:
    ref = ChartRef(name="base", version="1.20.0", source="https://me:s3cret@mirror.example:8443/charts/?token=s3cret")
    lock = Lock().pin(ref, ONE)
    assert lock.digest(ref) == ONE
    assert "s3cret" not in lock.text()
    assert public_ref(ref).source == "https://mirror.example:8443/charts"
    with pytest.raises(ChartError) as refused:
        lock.check(ref, OTHER)
    assert "s3cret" not in str(refused.value.__dict__)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://host/charts/", "https://host/charts"),
        ("https://host/", "https://host"),
        ("https://u:p@host:1/x#part", "https://host:1/x"),
        ("https://u:p@[broken/x", "https://[broken/x"),
        ("file:///srv/charts/", "file:///srv/charts"),
        ("./charts/", "./charts"),
        ("/", "/"),
    ],
)
def test_sources_are_shown_without_what_is_private(source: str, shown: str) -> None:
    assert public_source(source) == shown


ENTRY = "nksmesh: 1\ncharts:\n  - chart: base\n    version: 1.20.0\n    source: https://host/charts\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no `nksmesh: 1`"),
        ("charts: []\n", "no `nksmesh: 1`"),
        ("nksmesh: 2\ncharts: []\n", "line 1: nksmesh has format 2"),
        ("nksmesh: true\ncharts: []\n", "line 1: nksmesh has format True"),
        ("nksmesh: 1\n", "needs `charts`"),
        ("nksmesh: 1\ncharts: {}\n", "line 2: charts needs `charts`, a list"),
        ("nksmesh: 1\ncharts: []\nchart: []\n", "line 3: chart is not a key"),
        ("nksmesh: 1\ncharts:\n  - base\n", r"line 3: charts\[0\] is not a mapping"),
        (ENTRY + "    sha: x\n", r"line 6: charts\[0\].sha is not a key"),
        (ENTRY + "    sha256: abc\n", r"line 6: charts\[0\].sha256 is 'abc'"),
        (ENTRY + f"    sha256: {'1' * 64}\n", "sha256 must be a non-empty string, not float"),
        (ENTRY.replace("1.20.0", "1.20"), "line 4: .*version must be a non-empty string, not float"),
        (ENTRY.replace("1.20.0", "new"), "line 4: .*version is 'new'"),
        (ENTRY.replace("base", "../base"), r"line 3: .*chart is '\.\./base'"),
        (ENTRY.replace("    version: 1.20.0\n", ""), r"line 3: charts\[0\] has no `version`"),
        (ENTRY.replace("host", "u:p@host"), "line 5: .*source contains a user, password"),
        (ENTRY + ENTRY.split("charts:\n")[1], r"line 6: charts\[1\] names base 1.20.0 .* twice"),
    ],
)
def test_what_is_no_lock_is_refused_with_its_place(text: str, words: str) -> None:
    found = parse_document(text.encode(), "charts.lock")
    with pytest.raises(ConfigError, match=words) as refused:
        parse_lock(found.values, file="charts.lock", lines=found.lines)
    assert refused.value.message.startswith("charts.lock")
    assert refused.value.hint


def test_versions_sort_by_number() -> None:
    assert newest_first(["1.9.0", "1.10.0", "1.10.0-rc.1", "1.10.0"]) == ["1.10.0", "1.10.0-rc.1", "1.9.0"]


def test_a_manifest_is_pinned_and_compared_where_it_is_known() -> None:
    oci = ChartRef(name="istiod", version="1.20.0", source="oci://registry.example.com/charts")
    lock = Lock().pin(oci, ONE, OTHER)
    assert lock.pins(oci) == (ONE, OTHER)
    lock.check(oci, ONE, OTHER)
    lock.check(oci, ONE)
    with pytest.raises(ChartError, match="is not the manifest that") as refused:
        lock.check(oci, ONE, ONE)
    assert refused.value.detail == f"in the lock: {OTHER}\nthe manifest: {ONE}"
    assert "charts lock --upgrade 1.20.0 --charts oci://registry.example.com/charts" in refused.value.hint
    assert Lock().pin(oci, ONE).pins(oci) == (ONE, "")
    forgotten = lock.pin(REF, ONE).without([oci])
    assert (forgotten.pins(oci), forgotten.pins(REF), oci in forgotten.entries) == (("", ""), (ONE, ""), True)


def test_a_manifest_that_is_no_digest_is_told_with_its_place() -> None:
    text = Lock().pin(REF, ONE, OTHER).text().replace("2" * 64, "2" * 63)
    read = parse_document(text.encode(), "charts.lock")
    with pytest.raises(ConfigError, match=r"charts\[0\]\.manifest is '2+', which is not 64"):
        parse_lock(read.values, lines=read.lines)


TOOL = IstioctlPin(
    archive=IstioctlArchive(version="1.20.0", platform="linux-amd64"),
    source="registry.example.com/istio",
    digest=ONE,
    manifest=OTHER,
)
RELEASE = replace(TOOL, source="https://github.com/istio/istio/releases/download", manifest="")


def test_istioctl_reads_as_it_was_written_and_charts_keep_it() -> None:
    lock = Lock(entries={REF: ONE}, istioctl=with_pin(with_pin((), TOOL), RELEASE))
    again = parse_lock(document(lock.text().encode()))
    assert again.istioctl == lock.istioctl == (RELEASE, TOOL)
    assert again.pin(replace(REF, name="base"), OTHER).istioctl == lock.istioctl
    assert again.without([REF]).istioctl == lock.istioctl
    assert "istioctl" not in Lock(entries={REF: ONE}).text()


def test_a_pin_takes_the_place_of_the_one_before() -> None:
    assert with_pin((TOOL, RELEASE), replace(TOOL, digest=OTHER)) == (RELEASE, replace(TOOL, digest=OTHER))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": None}, r"line 4: istioctl\[0\] has no `sha256`"),
        ({"sha256": "abc"}, "which is not 64 lower-case hexadecimal digits"),
        ({"platform": "osx"}, "which is not linux-amd64 or linux-arm64"),
        ({"platform": None}, "has no `platform`"),
        ({"version": "../x"}, "which is not a version"),
        ({"source": "https://me:pa55@host/x"}, "contains a user, password"),
        ({"chart": "base"}, "is not a key of charts.lock; the valid keys are version, platform, source"),
    ],
)
def test_a_wrong_entry_of_istioctl_is_named_with_its_line(change: dict[str, str | None], words: str) -> None:
    entry = {"version": "1.20.0", "platform": "linux-amd64", "source": "hub.example/x", "sha256": "1" * 64} | change
    lines = [f'    {key}: "{text}"' for key, text in entry.items() if text is not None]
    text = "\n".join(["nksmesh: 1", "charts: []", "istioctl:", f"  - {lines[0].strip()}", *lines[1:]])
    parsed = parse_document(text.encode(), "charts.lock")
    with pytest.raises(ConfigError, match=words) as refused:
        parse_lock(parsed.values, lines=parsed.lines)
    assert "pa55" not in refused.value.message


def test_an_entry_of_istioctl_that_comes_twice_is_named() -> None:
    text = Lock(istioctl=(TOOL, TOOL)).text()
    with pytest.raises(ConfigError, match=r"names istio-1\.20\.0-linux-amd64.*twice"):
        parse_lock(document(text.encode()))
    with pytest.raises(ConfigError, match="istioctl is not a list"):
        parse_lock(document(b"nksmesh: 1\ncharts: []\nistioctl: x\n"))


def test_an_archive_is_held_against_its_pin() -> None:
    pins = IstioctlPins((TOOL,), "charts.lock")
    pins.check(TOOL.archive, Origin(source=TOOL.source, digest=ONE), locked=True)
    pins.check(TOOL.archive, Origin(source="elsewhere", digest=ONE), locked=True)
    pins.check(TOOL.archive, Origin(source="elsewhere", digest=OTHER), locked=False)
    with pytest.raises(IstioctlError, match=r"is not the archive that .* pins") as refused:
        pins.check(TOOL.archive, Origin(source=TOOL.source, digest=OTHER), locked=False)
    assert (refused.value.exit_code, ONE in refused.value.detail) == (3, True)
    with pytest.raises(IstioctlError, match=r"is not pinned in .*, and --locked requires it"):
        pins.check(TOOL.archive, Origin(source="elsewhere", digest=OTHER), locked=True)
