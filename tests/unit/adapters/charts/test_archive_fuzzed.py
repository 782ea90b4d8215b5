"""The reader of chart archives against made-up archives: it unpacks inside its folder, or refuses; nothing else."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nksmesh.adapters.charts import archive
from nksmesh.domain.common.errors import ChartError

CHART: Final = b"name: base\nversion: 1.20.0\n"
BLOCK: Final = 512
SIZE: Final = slice(124, 136)
"""Where a tar header has a member's size (POSIX, ustar)."""


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Return a member as a tar has it: its header, and its content to whole blocks."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % BLOCK)


def claiming(member: bytes, size: bytes) -> bytes:
    """Return a member whose header has another size, with a checksum that fits."""
    header = bytearray(member[:BLOCK])
    header[SIZE] = size.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + member[BLOCK:]


def pax(**records: str) -> bytes:
    """Return a pax header with records for the member behind it."""
    lines = b""
    for key, value in records.items():
        text = f" {key.replace('_', '.')}={value}\n".encode()
        length = len(text) + len(str(len(text) + 2))
        lines += f"{length}".encode() + text
    return entry("pax", lines, tarfile.XHDTYPE)


END: Final = bytes(2 * BLOCK)
GOOD: Final = entry("base/Chart.yaml", CHART)


def outcome(content: bytes) -> dict[str, bytes] | ChartError:
    """Unpack, and return the files or the refusal; whatever else happens fails the test, and so does a file outside."""
    with tempfile.TemporaryDirectory() as home:
        into = Path(home) / "into"
        into.mkdir()
        ended: dict[str, bytes] | ChartError
        try:
            archive.unpack(io.BytesIO(content), into, title="the archive")
        except ChartError as refused:
            ended = refused
        else:
            ended = {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()}
        assert os.listdir(home) == ["into"]  # noqa: PTH208 - names alone
        whole = [path for path in into.rglob("*") if path.is_file()]
        assert not any(path.is_symlink() for path in into.rglob("*"))
        assert sum(path.stat().st_size for path in whole) <= archive.MOST_WHOLE
    return ended


@pytest.mark.parametrize(
    ("members", "words"),
    [
        pytest.param(claiming(GOOD, b"77777777777"), "too large", id="eight gigabytes claimed"),
        pytest.param(claiming(GOOD, b"\x80" + b"\xff" * 11), "too large|whole .tgz", id="a size of 88 bits"),
        pytest.param(claiming(GOOD, b"\xff" * 12), "below zero", id="a negative size"),
        pytest.param(claiming(GOOD, b"not octal"), "whole .tgz", id="a size that is no number"),
        pytest.param(claiming(GOOD, f"{5000:o}".encode()), "whole .tgz", id="more claimed than is there"),
        pytest.param(pax(size=str(2**62)) + GOOD, "too large|whole .tgz", id="a size in a pax header"),
        pytest.param(pax(size="-1") + GOOD, "below zero", id="a negative size in a pax header"),
        pytest.param(pax(path="../../evil") + GOOD, "outside", id="a path in a pax header"),
        pytest.param(pax(path="/evil") + GOOD, "outside", id="an absolute path in a pax header"),
        pytest.param(pax(linkpath="/etc/passwd") + entry("base/x", kind=tarfile.SYMTYPE), "link", id="a pax link"),
        pytest.param(
            entry("././@LongLink", b"../" * 90 + b"evil\0", tarfile.GNUTYPE_LONGNAME) + GOOD, "outside", id="GNU"
        ),
        pytest.param(GOOD + entry("base/templates", kind=tarfile.SYMTYPE, link=".."), "link", id="a link to a folder"),
        pytest.param(GOOD + entry("base/x", kind=tarfile.LNKTYPE, link="../../x"), "link", id="a hard link outside"),
        pytest.param(GOOD + entry("base/x", kind=tarfile.GNUTYPE_SPARSE), "whole .tgz|sparse", id="sparse"),
        pytest.param(pax(GNU_sparse_major="1", GNU_sparse_minor="0") + GOOD, "sparse|whole .tgz", id="sparse by pax"),
        pytest.param(GOOD + entry("base/x", kind=tarfile.BLKTYPE), "device", id="a device"),
        pytest.param(GOOD + entry("base/x", b"1") + entry("base/x", b"2"), "twice", id="a file twice"),
        pytest.param(GOOD + entry("base//Chart.yaml", b"2"), "twice", id="a file twice, written otherwise"),
        pytest.param(GOOD + entry("base/./Chart.yaml", b"2"), "twice", id="a file twice, with a dot"),
        pytest.param(GOOD + entry("base/x/y", b"1") + entry("base/x", b"2"), "twice", id="a file where a folder is"),
        pytest.param(entry("base/" + "d/" * 3000 + "x", b"1") + GOOD, "whole .tgz|no Chart", id="too deep for a path"),
        pytest.param(entry("base/Chart.yaml", kind=tarfile.DIRTYPE), "no Chart", id="Chart.yaml is a folder"),
        pytest.param(entry("base/templates/x", b"1"), "no Chart", id="no Chart.yaml"),
        pytest.param(b"", "no Chart|whole .tgz", id="nothing"),
    ],
)
def test_what_no_honest_archive_has_is_refused(members: bytes, words: str) -> None:
    ended = outcome(gzip.compress(members + END))
    assert isinstance(ended, ChartError)
    assert any(word in ended.message for word in words.split("|")), ended.message
    assert ended.hint


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_of_zeros_is_refused_before_it_is_unpacked(layers: int) -> None:
    zeros = bytes(archive.MOST_FILE)
    bomb = gzip.compress(GOOD + b"".join(entry(f"base/{n}", zeros) for n in range(7)) + END, 1)
    for _ in range(layers - 1):
        bomb = gzip.compress(bomb)
    ended = outcome(bomb)
    assert isinstance(ended, ChartError)


def test_gzip_members_one_behind_another_are_one_stream() -> None:
    assert outcome(gzip.compress(GOOD) + gzip.compress(END)) == {"Chart.yaml": CHART}
    assert isinstance(outcome(gzip.compress(GOOD + END) + b"garbage behind it"), ChartError)


NAMES = st.one_of(
    st.sampled_from(["base/Chart.yaml", "base/x", "base/x/y", "base", "..", "/", ".", "", "base/../x", "C:\\x"]),
    st.lists(st.sampled_from(["base", "..", ".", "x", "", "templates", "\n"]), min_size=1, max_size=5).map("/".join),
    st.text(max_size=12).filter(str.isprintable),
)
KINDS = st.sampled_from((*tarfile.SUPPORTED_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, b"?"))
MEMBERS = st.builds(entry, NAMES, st.binary(max_size=600), KINDS, NAMES)
SIZES = st.one_of(st.binary(max_size=12), st.integers(0, 2**33).map(lambda size: f"{size:o}".encode()[:12]))
LYING = st.builds(claiming, MEMBERS, SIZES)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.one_of(MEMBERS, LYING, st.just(GOOD)), max_size=6), st.booleans())
def test_members_of_any_kind_are_unpacked_inside_or_refused(members: list[bytes], ended: bool) -> None:
    found = outcome(gzip.compress(b"".join(members) + (END if ended else b""), 1))
    assert isinstance(found, ChartError) or "Chart.yaml" in found


def _cut(content: bytes, at: int, _byte: int) -> bytes:
    return content[:at]


def _changed(content: bytes, at: int, byte: int) -> bytes:
    return content[:at] + bytes([byte]) + content[at + 1 :]


def _grown(content: bytes, at: int, byte: int) -> bytes:
    return content[:at] + bytes([byte]) + content[at:]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from([_cut, _changed, _grown]), st.integers(0), st.integers(0, 255)), max_size=4),
    st.booleans(),
)
def test_a_good_archive_with_bytes_changed_is_unpacked_or_refused(
    changes: list[tuple[Callable[[bytes, int, int], bytes], int, int]], inside: bool
) -> None:
    content = GOOD + entry("base/values.yaml", b"a: 1\n" * 200) + entry("base/templates/x.yaml", b"b: 2\n") + END
    content = content if inside else gzip.compress(content, mtime=0)
    for change, at, byte in changes:
        content = change(content, at % (len(content) + 1), byte)
    found = outcome(gzip.compress(content, 1) if inside else content)
    assert isinstance(found, ChartError) or "Chart.yaml" in found
