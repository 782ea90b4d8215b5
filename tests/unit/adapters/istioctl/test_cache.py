"""The cache: archives whole or not at all, taken up again where they broke off, and refused where they are bad."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nksmesh.adapters.istioctl.cache import IstioctlCache
from nksmesh.domain.common.errors import ConfigError, HeldError, IstioctlError
from nksmesh.domain.istioctl.archive import FetchedIstioctl, IstioctlArchive, Origin
from tests.istio_archives import SAMPLE, VERSION, archive, digest_of, names_in, program

ARCHIVE = IstioctlArchive(version=VERSION, platform="linux-amd64")
FOLDER = "istio-1.20.0-linux-amd64"
KEPT = [FOLDER, f"{FOLDER}.json", "last"]


@dataclass
class Source:
    """What an archive is read from.

    Attributes:
        content: What it has.
        breaks: Bytes after which the next reading breaks off, once.
        begun: From which bytes it was read.
    """

    content: bytes
    breaks: int = 0
    begun: list[int] = field(default_factory=list)

    async def __call__(self, begun: int) -> AsyncGenerator[bytes, None]:
        self.begun.append(begun)
        left, self.breaks = self.breaks, 0
        if left:
            yield self.content[begun : begun + left]
            raise IstioctlError("it broke off", hint="x", passing=True)
        yield self.content[begun:]


@pytest.fixture
def cache(tmp_path: Path) -> IstioctlCache:
    return IstioctlCache(tmp_path)


async def add(cache: IstioctlCache, source: Source, digest: str = "") -> FetchedIstioctl:
    origin = Origin(source="hub.example/istio", digest=digest or digest_of(source.content))
    return await cache.add(ARCHIVE, origin, source)


async def test_an_archive_is_unpacked_and_found_again(cache: IstioctlCache) -> None:
    content = archive()
    added = await add(cache, Source(content))
    assert added.folder == cache.folder / FOLDER
    assert added.program.read_bytes() == program()
    assert added.program.stat().st_mode & 0o111 == 0o111
    assert not (added.folder / SAMPLE).stat().st_mode & 0o111
    assert (added.samples / "bookinfo").is_dir()
    assert cache.whole(ARCHIVE, digest_of(content)) == cache.find("linux-amd64") == added
    assert cache.find("linux-amd64", VERSION) == added
    assert cache.find("linux-amd64", "1.19.0") is None
    assert cache.find("linux-arm64") is None
    assert names_in(cache.folder) == KEPT


async def test_a_changed_folder_counts_as_absent(cache: IstioctlCache) -> None:
    content = archive()
    added = await add(cache, Source(content))
    (added.folder / SAMPLE).write_text("changed")
    assert cache.whole(ARCHIVE, digest_of(content)) is None
    again = await add(cache, Source(content))
    assert (again.folder / SAMPLE).read_text() == "kind: Service\n"
    assert cache.whole(ARCHIVE, digest_of(content)) == again


async def test_the_last_that_was_fetched_is_the_one_that_is_found(cache: IstioctlCache) -> None:
    await add(cache, Source(archive()))
    older = IstioctlArchive(version="1.19.0", platform="linux-amd64")
    content = archive("1.19.0")
    await cache.add(older, Origin(source="x", digest=digest_of(content)), Source(content))
    found = cache.find("linux-amd64")
    assert found is not None
    assert found.archive == older
    assert cache.whole(ARCHIVE, digest_of(archive())) is not None
    found = cache.find("linux-amd64")
    assert found is not None
    assert found.archive == ARCHIVE


async def test_a_download_that_broke_off_goes_on_where_it_was(cache: IstioctlCache) -> None:
    source = Source(archive(), breaks=100)
    with pytest.raises(IstioctlError, match="broke off"):
        await add(cache, source)
    assert [name for name in names_in(cache.folder) if not name.endswith(".part")] == []
    await add(cache, source)
    assert source.begun == [0, 100]
    assert names_in(cache.folder) == KEPT


async def test_what_an_earlier_run_left_is_not_trusted(cache: IstioctlCache) -> None:
    content = archive()
    with pytest.raises(IstioctlError, match="broke off"):
        await add(cache, Source(b"x" * 500, breaks=100), digest_of(content))
    source = Source(content)
    await add(cache, source)
    assert source.begun == [100, 0]


async def test_a_source_that_has_no_more_is_asked_from_the_start_the_next_time(cache: IstioctlCache) -> None:
    source = Source(archive())
    for source.breaks in (100, -1):  # the second time nothing more comes
        with pytest.raises(IstioctlError, match="broke off"):
            await add(cache, source)
    await add(cache, source)
    assert source.begun == [0, 100, 0]


async def test_an_archive_that_is_not_what_its_digest_names_leaves_nothing(cache: IstioctlCache) -> None:
    with pytest.raises(IstioctlError, match="is not what its digest names") as refused:
        await add(cache, Source(archive(more={"istio-1.20.0/x": b"tampered"})), digest_of(archive()))
    assert digest_of(archive()) in refused.value.detail
    assert names_in(cache.folder) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive(more={"../evil": b"x"}), "outside"),
        (archive(more={"/evil": b"x"}), "outside"),
        (archive(more={"istio-1.20.0/../../evil": b"x"}), "outside"),
        (archive(links={"istio-1.20.0/evil": "/etc/passwd"}), "link"),
        (archive(more={"other/evil": b"x"}), "two top folders"),
        (archive()[:-10], "is not a whole .tar.gz archive"),
        (b"no archive at all", "is not a whole .tar.gz archive"),
        (archive("1.19.0"), "another version"),
        (archive(platform="linux-arm64"), "is for linux-arm64, and linux-amd64 is needed"),
        (archive(istioctl=b"#!/bin/sh\n"), "no Linux program"),
    ],
)
async def test_a_bad_archive_is_refused_and_what_was_there_stays(
    content: bytes, words: str, cache: IstioctlCache, tmp_path: Path
) -> None:
    good = await add(cache, Source(archive()))
    with pytest.raises(IstioctlError, match=words):
        await add(cache, Source(content))
    assert names_in(cache.folder) == KEPT
    assert cache.whole(ARCHIVE, digest_of(archive())) == good
    assert names_in(tmp_path) == ["istioctl"]


async def test_an_archive_without_istioctl_is_none(cache: IstioctlCache, tmp_path: Path) -> None:
    file = tmp_path / ARCHIVE.name
    file.write_bytes(archive())
    cache.check(ARCHIVE, file)
    file.write_bytes(archive(istioctl=b""))
    with pytest.raises(IstioctlError, match="no Linux program"):
        cache.check(ARCHIVE, file)
    assert names_in(cache.folder) == []


async def test_two_runs_never_write_into_one_file(cache: IstioctlCache) -> None:
    content = archive()
    cache.folder.mkdir(parents=True)
    with (cache.folder / f"{digest_of(content).removeprefix('sha256:')}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(HeldError, match="another nksmesh is fetching"):
            await add(cache, Source(content))


async def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file") as refused:
        await add(IstioctlCache(tmp_path / "file"), Source(archive()))
    assert "NKSMESH_CACHE" in refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 1}', "{}"])
async def test_a_note_that_was_damaged_counts_as_absent(text: str, cache: IstioctlCache) -> None:
    await add(cache, Source(archive()))
    (cache.folder / f"{FOLDER}.json").write_text(text)
    assert cache.find("linux-amd64") is None
    (cache.folder / "last").write_bytes(b"\xff")
    assert cache.find("linux-amd64") is None
