"""A bundle's file: the same bytes for the same contents, and whatever was done to it since is named."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

import pytest

from nksmesh.adapters.bundles.tar import open_bundle, write
from nksmesh.domain.bundles.contents import CONTENTS, SUMS, BundleContents, BundledChart, BundledFile
from nksmesh.domain.common.errors import BundleError, ConfigError
from nksmesh.engine.bundles import Parts, parts_of

SMALL = {"charts.lock": b"nksmesh: 1\n", "charts/base-1.20.0.tgz": b"an archive"}
LARGE = b"x" * (3 * 1024 * 1024 + 7)
BLOB = f"images/blobs/sha256/{hashlib.sha256(LARGE).hexdigest()}"


def contents_of(parts: Parts) -> BundleContents:
    chart = BundledChart(
        name="base",
        version="1.20.0",
        source="https://charts.example",
        digest=f"sha256:{hashlib.sha256(b'an archive').hexdigest()}",
    )
    return BundleContents(
        version="1.20.0", environment="prod", hub="registry.example/istio", charts=(chart,), files=parts.files
    )


def parts() -> Parts:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    file = BundledFile(path=BLOB, size=len(LARGE), sha256=hashlib.sha256(LARGE).hexdigest())
    return parts_of(SMALL) | Parts(files=(file,), content={BLOB: pieces})


async def make(path: Path) -> str:
    made = parts()
    return await write(path, contents_of(made), made.content, lambda _: None)


async def test_the_same_contents_give_the_same_bytes_and_tar_reads_them(tmp_path: Path) -> None:
    first, second = await make(tmp_path / "a.tar"), await make(tmp_path / "b.tar")
    assert first == second == hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest()
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
        blob = tar.extractfile(BLOB)
        assert blob is not None
        assert blob.read() == LARGE
    assert names == [CONTENTS, *sorted([*SMALL, BLOB]), SUMS]


async def test_what_is_in_it_is_read_and_verified(tmp_path: Path) -> None:
    digest = await make(tmp_path / "a.tar")
    with open_bundle(tmp_path / "a.tar") as bundle:
        assert bundle.contents == contents_of(parts())
        assert bundle.read("charts.lock") == SMALL["charts.lock"]
        assert b"".join([piece async for piece in bundle.stream(BLOB)]) == LARGE
        await bundle.verify()
        assert bundle.digest() == digest
        with pytest.raises(BundleError, match="has no nothing"):
            bundle.read("nothing")


def rewritten(path: Path, change: Callable[[dict[str, bytes]], Iterable[tuple[tarfile.TarInfo, bytes]]]) -> Path:
    """Write the files of a bundle into another tar, changed."""
    with tarfile.open(path) as tar:
        files = {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}
    other = path.with_name("other.tar")
    with tarfile.open(other, "w") as tar:
        for info, content in change(files):
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return other


def named(files: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(name), content) for name, content in files.items()]


def with_list(files: dict[str, bytes], before: bytes, after: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    return named({**files, CONTENTS: files[CONTENTS].replace(before, after)})


def link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: named({name: files[name] for name in files if name != "charts.lock"}), "lacks charts.lock"),
        (lambda files: named({name: files[name] for name in files if name != SUMS}), f"lacks {SUMS}"),
        (lambda files: named({name: files[name] for name in files if name != CONTENTS}), f"has no {CONTENTS}"),
        (lambda files: named({**files, "values/x.yaml": b"x"}), "'values/x.yaml', which bundle.json does not list"),
        (lambda files: named({**files, "../x": b"x"}), "'../x', which bundle.json does not list"),
        (lambda files: [*named(files), (tarfile.TarInfo("charts.lock"), b"nksmesh: 1\n")], "'charts.lock' twice"),
        (lambda files: [*named(files), (link("values/link"), b"")], "'values/link' in it is no file"),
        (lambda files: named({**files, "charts.lock": b"nksmesh: 1\n# more"}), "charts.lock is not what"),
        (lambda files: named({**files, CONTENTS: b"{}"}), "cannot be read"),
        (lambda files: named({**files, CONTENTS: b"\xff"}), "cannot be read"),
        (
            lambda files: named({**files, CONTENTS: files[CONTENTS].replace(b'"nksmesh": 1', b'"nksmesh": 2')}),
            "format 2",
        ),
        (
            lambda files: named({**files, CONTENTS: files[CONTENTS].replace(b"charts.lock", b"../x/charts")}),
            "'../x/charts'",
        ),
    ],
)
async def test_what_was_added_taken_or_changed_is_named_when_it_is_opened(
    tmp_path: Path, change: Callable[[dict[str, bytes]], list[tuple[tarfile.TarInfo, bytes]]], words: str
) -> None:
    await make(tmp_path / "a.tar")
    with pytest.raises(BundleError) as caught:
        open_bundle(rewritten(tmp_path / "a.tar", change))
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["charts.lock", BLOB])
async def test_a_changed_byte_is_found_when_it_is_read(tmp_path: Path, name: str) -> None:
    await make(tmp_path / "a.tar")
    other = rewritten(
        tmp_path / "a.tar", lambda files: named({**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])})
    )
    with open_bundle(other) as bundle, pytest.raises(BundleError, match=r"is not what bundle\.json lists"):
        await bundle.verify()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
async def test_one_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    await make(tmp_path / "a.tar")
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BundleError):
        open_bundle(tmp_path / "cut.tar")


@pytest.mark.parametrize("content", [b"no tar at all", b"\x1f\x8b" + b"\0" * 600, b"\0" * 10240])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(BundleError):
        open_bundle(tmp_path / "x.tar")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        open_bundle(tmp_path / "x.tar")


async def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"x"
        raise BundleError("the registry is gone", hint="x")

    made = parts()
    with pytest.raises(BundleError, match="the registry is gone"):
        await write(tmp_path / "a.tar", contents_of(made), {**made.content, BLOB: broken}, lambda _: None)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib would block, as ruff says elsewhere
    with pytest.raises(ConfigError, match="cannot be written"):
        await write(tmp_path / "no" / "a.tar", contents_of(made), made.content, lambda _: None)


async def test_a_blob_that_is_shorter_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    async def short() -> AsyncGenerator[bytes, None]:
        yield b"x"

    made = parts()
    with pytest.raises(BundleError, match="has 1 bytes instead of"):
        await write(tmp_path / "a.tar", contents_of(made), {**made.content, BLOB: short}, lambda _: None)


async def test_a_bundle_that_holds_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    made = parts()
    for private, mode in ((True, 0o600), (False, 0o644)):
        await write(tmp_path / "a.tar", contents_of(made), made.content, lambda _: None, private=private)
        assert stat.S_IMODE(os.stat(tmp_path / "a.tar").st_mode) == mode  # noqa: PTH116 - pathlib would block
