from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nksmesh.adapters.charts import archive
from nksmesh.domain.common.errors import ChartError

Members = list[tuple[tarfile.TarInfo, bytes]]
CHART = b"apiVersion: v2\nname: base\nversion: 1.20.0\n"


def member(name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> Members:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return [(info, content)]


def packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def unpack(content: bytes, into: Path) -> None:
    into.mkdir()
    archive.unpack(io.BytesIO(content), into, title="the archive")


GOOD = member("base/Chart.yaml", CHART)


def test_what_the_top_folder_holds_is_unpacked(tmp_path: Path) -> None:
    members = member(".", kind=tarfile.DIRTYPE) + member("./base", kind=tarfile.DIRTYPE) + GOOD
    unpack(packed([*members, *member("base/templates/a.yaml", b"a: 1\n")]), tmp_path / "out")
    assert (tmp_path / "out/Chart.yaml").read_bytes() == CHART
    assert (tmp_path / "out/templates/a.yaml").read_bytes() == b"a: 1\n"
    assert not (tmp_path / "out/templates/a.yaml").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (member("base/../../evil", b"x"), "outside"),
        (member("../evil", b"x"), "outside"),
        (member("/evil", b"x"), "outside"),
        (member("base\\..\\evil", b"x"), "outside"),
        (member("base/evil", kind=tarfile.SYMTYPE, link="/etc/passwd"), "link"),
        (member("base/evil", kind=tarfile.LNKTYPE, link="base/Chart.yaml"), "link"),
        (member("base/evil", kind=tarfile.CHRTYPE), "device"),
        (member("base/evil", kind=tarfile.FIFOTYPE), "device"),
        (member("other/evil", b"x"), "two top folders"),
        (member("evil", b"x"), "two top folders"),
        (member("base/Chart.yaml", b"x"), "twice"),
        (member("base/Chart.yaml/x", b"x"), "inside a file"),
        (member("base/" + "x" * 300, b"x"), "whole .tgz"),
    ],
)
def test_members_that_lead_astray_are_refused_and_nothing_is_outside(bad: Members, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=words):
        unpack(packed(GOOD + bad), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert [path.name for path in (tmp_path / "out").rglob("*")] in ([], ["Chart.yaml"])


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match="20 MiB a file"):
        unpack(packed(GOOD + member("base/big", bytes(archive.MOST_FILE + 1))), tmp_path / "out")


def test_files_above_the_limit_together_are_refused(tmp_path: Path) -> None:
    big = bytes(archive.MOST_FILE)
    members = [entry for n in range(6) for entry in member(f"base/{n}", big)]
    with pytest.raises(ChartError, match="100 MiB in all"):
        unpack(packed(GOOD + members), tmp_path / "out")


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    members = [entry for n in range(archive.MOST_ENTRIES) for entry in member(f"base/{n}", kind=tarfile.DIRTYPE)]
    with pytest.raises(ChartError, match="more than 10000 entries"):
        unpack(packed(GOOD + members), tmp_path / "out")


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    header = tarfile.TarInfo("base/pax")
    header.type, header.size = tarfile.XHDTYPE, 2 * archive.MOST_WHOLE
    bomb = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(2 * archive.MOST_WHOLE), compresslevel=1)
    with pytest.raises(ChartError, match="unpacks to more than 100 MiB"):
        unpack(bomb, tmp_path / "out")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4],
        lambda content: content[:-8] + bytes(8),
        lambda content: b"not gzip" + content,
        lambda content: gzip.compress(gzip.decompress(content)[:600]),
        lambda _content: gzip.compress(b"not a tar" * 200),
        lambda _content: b"",
    ],
)
def test_half_an_archive_is_refused(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    content = packed(GOOD + member("base/values.yaml", bytes(range(256)) * 64))
    with pytest.raises(ChartError, match=r"whole \.tgz|no Chart.yaml"):
        unpack(spoil(content), tmp_path / "out")


def test_an_archive_without_a_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=r"no Chart\.yaml"):
        unpack(packed(member("base/values.yaml", b"a: 1")), tmp_path / "out")


def test_the_digest_of_a_folder_is_of_names_and_bytes(tmp_path: Path) -> None:
    def digest(**files: bytes) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / "deep").mkdir(parents=True)
        for name, content in files.items():
            (folder / "deep" / name).write_bytes(content)
        return archive.digest_of_folder(folder)

    assert digest(a=b"1", b=b"2") == digest(b=b"2", a=b"1")
    assert (
        len({digest(), digest(a=b""), digest(a=b"1"), digest(b=b"1"), digest(a=b"1", b=b""), digest(a=b"", b=b"1")})
        == 6
    )
