"""A bundle's file: a tar whose bytes depend on its contents alone.

Where each file lies is known before any of it is there, for the sizes of blobs are in their manifests. So several
are written at once, each at its place.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from nksmesh.domain.bundles.contents import CONTENTS, SUMS, BundleContents, BundledFile, parse_contents
from nksmesh.domain.common.errors import BundleError, ConfigError

AT_ONCE: Final = 4
PIECE: Final = 1024 * 1024
_MOST_FILES: Final = 100_000
_MOST_SMALL: Final = 64 * 1024 * 1024
"""Bytes of a file that is read as a whole: a list of contents, a chart, values, a manifest."""

Stream: TypeAlias = Callable[[], AsyncGenerator[bytes, None]]
"""What makes a stream of a file's bytes."""


async def write(
    path: Path,
    contents: BundleContents,
    parts: Mapping[str, bytes | Stream],
    told: Callable[[int], None],
    *,
    private: bool = False,
) -> str:
    """Write a bundle, whole or not at all.

    Args:
        parts: The content of each of the files that the list names.
        told: Hears how many bytes more were written.
        private: Nobody but its owner may read the file.

    Returns:
        The digest of the whole file, 64 hexadecimal digits.

    Raises:
        ConfigError: The file cannot be written.
        MeshError: As the streams raise.
    """
    ends = {CONTENTS: contents.text().encode(), SUMS: contents.sums().encode()}
    first, last = (BundledFile(path=name, size=len(ends[name]), sha256="") for name in (CONTENTS, SUMS))
    places, size = _laid_out((first, *contents.files, last))
    turns = asyncio.Semaphore(AT_ONCE)
    with _fresh(path, private=private) as (handle, temporary):
        os.truncate(handle, size)

        async def put(place: _Place) -> None:
            content = ends.get(place.file.path) or parts[place.file.path]
            async with turns:
                await asyncio.to_thread(_write_all, handle, place.header, place.at - len(place.header))
                await _put(handle, place, content, told)

        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(put(place))
        digest = await asyncio.to_thread(_digest_of, handle)
        temporary.replace(path)
    return digest


@dataclass(frozen=True)
class _Place:
    file: BundledFile
    header: bytes
    at: int


def _laid_out(files: Iterable[BundledFile]) -> tuple[list[_Place], int]:
    """Say where each file begins, and how large the whole is; a tar ends with two empty blocks, and whole records."""
    places, at = [], 0
    for file in files:
        info = tarfile.TarInfo(file.path)
        info.size, info.mode = file.size, 0o644
        header = info.tobuf(tarfile.PAX_FORMAT)
        at += len(header)
        places.append(_Place(file, header, at))
        at += -(-file.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return places, -(-(at + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


async def _put(handle: int, place: _Place, content: bytes | Stream, told: Callable[[int], None]) -> None:
    at = place.at
    if isinstance(content, bytes):
        await asyncio.to_thread(_write_all, handle, content, at)
        at += len(content)
        told(len(content))
    else:
        async with aclosing(content()) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(_write_all, handle, piece, at)
                at += len(piece)
                told(len(piece))
    if at - place.at != place.file.size:
        raise BundleError(
            f"{place.file.path} has {at - place.at} bytes instead of {place.file.size}",
            hint="Run the same command again.",
        )


def _write_all(handle: int, piece: bytes, at: int) -> None:
    while piece:
        written = os.pwrite(handle, piece, at)
        piece, at = piece[written:], at + written


def _digest_of(handle: int) -> str:
    state, at = hashlib.sha256(), 0
    while piece := os.pread(handle, PIECE, at):
        state.update(piece)
        at += len(piece)
    return state.hexdigest()


@contextmanager
def _fresh(path: Path, *, private: bool) -> Iterator[tuple[int, Path]]:
    """Open a new file beside a path; whoever renames it there keeps it."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        os.fchmod(handle, 0o600 if private else 0o644)
        yield handle, temporary
    except OSError as error:
        raise _unwritable(path, error) from error
    except BaseExceptionGroup as failed:
        first = failed.exceptions[0]
        raise (_unwritable(path, first) if isinstance(first, OSError) else first) from None
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {error.strerror or error}", hint="Write to another file, on a disk with room."
    )


def open_bundle(path: Path) -> Bundle:
    """Look into a bundle: which files are where, and what the list of its contents says.

    Raises:
        ConfigError: The file cannot be read.
        BundleError: It is no bundle, or has what its list does not name, or lacks what it names.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check the path.") from error
    try:
        places = _places_in(path, handle)
        return Bundle(path, handle, places, _contents_of(path, handle, places))
    except BaseException:
        os.close(handle)
        raise


class Bundle:
    """A bundle that is there. Use as a context manager.

    Attributes:
        contents: What it says it holds; every file that is read is held against it.
    """

    def __init__(
        self, path: Path, handle: int, places: Mapping[str, tuple[int, int]], contents: BundleContents
    ) -> None:
        self.path = path
        self.contents = contents
        self._handle = handle
        self._places = places
        self._files = {file.path: file for file in contents.files}

    def __enter__(self) -> Self:
        """Enter the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._handle)

    @property
    def size(self) -> int:
        """The file's size, in bytes."""
        return os.fstat(self._handle).st_size

    def has(self, name: str) -> bool:
        """Tell whether it has a file."""
        return name in self._files

    def read(self, name: str) -> bytes:
        """Read a small file, which must be what the list says.

        Raises:
            BundleError: It is not there, or is another one.
        """
        if name not in self._files:
            raise _damaged(self.path, f"it has no {name}")
        at, size = self._places[name]
        content = _whole(self.path, self._handle, at, size)
        if hashlib.sha256(content).hexdigest() != self._files[name].sha256:
            raise _other(self.path, name)
        return content

    async def stream(self, name: str) -> AsyncGenerator[bytes, None]:
        """Read a file in pieces; the last one comes only when the digest of all is right.

        Raises:
            BundleError: It is not there, or is another one.
        """
        if name not in self._files:
            raise _damaged(self.path, f"it has no {name}")
        (at, left), state = self._places[name], hashlib.sha256()
        while True:
            piece = await asyncio.to_thread(self._piece, at, min(left, PIECE), state)
            at, left = at + len(piece), left - len(piece)
            if left <= 0:
                if state.hexdigest() != self._files[name].sha256:
                    raise _other(self.path, name)
                yield piece
                return
            if not piece:
                raise _damaged(self.path, f"it ends within {name}")
            yield piece

    def _piece(self, at: int, size: int, state: hashlib._Hash) -> bytes:
        piece = os.pread(self._handle, size, at)
        state.update(piece)
        return piece

    async def verify(self) -> None:
        """Hold every file against the list, and the sums against both.

        Raises:
            BundleError: One is another one; it is named.
        """
        for name in self._files:
            async with aclosing(self.stream(name)) as pieces:
                async for _ in pieces:
                    pass
        for chart in self.contents.charts:
            if not self.has(chart.path) or self._files[chart.path].sha256 != chart.digest.removeprefix("sha256:"):
                raise _other(self.path, chart.path)
        at, size = self._places[SUMS]
        if _whole(self.path, self._handle, at, size) != self.contents.sums().encode():
            raise _other(self.path, SUMS)

    def digest(self) -> str:
        """Return the digest of the whole file, 64 hexadecimal digits."""
        return _digest_of(self._handle)


def _places_in(path: Path, handle: int) -> dict[str, tuple[int, int]]:
    """List the files of a tar: where each begins, and its size; nothing but files may be in it."""
    places: dict[str, tuple[int, int]] = {}
    whole = os.fstat(handle).st_size
    try:
        with os.fdopen(os.dup(handle), "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isreg() or member.issparse():
                    raise _damaged(path, f"{member.name!r} in it is no file")
                if member.name in places or len(places) >= _MOST_FILES:
                    raise _damaged(path, f"it has {member.name!r} twice, or more than {_MOST_FILES} files")
                if member.offset_data + member.size > whole:
                    raise _damaged(path, f"it ends within {member.name!r}")
                places[member.name] = (member.offset_data, member.size)
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise _damaged(path, "it is no tar, or is cut off") from error
    return places


def _contents_of(path: Path, handle: int, places: dict[str, tuple[int, int]]) -> BundleContents:
    """Read the list of contents, and hold the files that are there against it; of the places, the list's own goes."""
    if CONTENTS not in places:
        raise _damaged(path, f"it has no {CONTENTS}")
    contents = parse_contents(_whole(path, handle, *places.pop(CONTENTS)), str(path))
    _check_places(path, places, contents)
    return contents


def _check_places(path: Path, places: Mapping[str, tuple[int, int]], contents: BundleContents) -> None:
    listed = {file.path: file.size for file in contents.files}
    for name, size in listed.items():
        if name not in places:
            raise _damaged(path, f"it lacks {name}")
        if places[name][1] != size:
            raise _other(path, name)
    if SUMS not in places:
        raise _damaged(path, f"it lacks {SUMS}")
    for name in places:
        if name not in listed and name != SUMS:
            raise _damaged(path, f"it has {name!r}, which {CONTENTS} does not list")


def _whole(path: Path, handle: int, at: int, size: int) -> bytes:
    if size > _MOST_SMALL:
        raise _damaged(path, "a list, a chart or values in it are larger than any")
    return os.pread(handle, size, at)


def _other(path: Path, name: str) -> BundleError:
    return BundleError(
        f"{path}: {name} is not what {CONTENTS} lists",
        hint="It was changed or damaged on its way. Copy it again, and compare its sha256 with the one that nksmesh "
        "bundle create printed.",
    )


def _damaged(path: Path, problem: str) -> BundleError:
    return BundleError(
        f"{path} is no bundle that can be used: {problem}",
        hint="Copy it again, and compare its sha256 with the one that nksmesh bundle create printed.",
    )
