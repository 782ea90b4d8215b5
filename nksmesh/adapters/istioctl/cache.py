"""The cache of istioctl: archives of Istio, each unpacked.

::

    istioctl/istio-1.20.0-linux-amd64/      what an archive unpacks to: bin/istioctl, samples/
    istioctl/istio-1.20.0-linux-amd64.json  where it is from, and the digests of archive and folder
    istioctl/<sha256>.part                  an archive under way: a run that broke off goes on there
    istioctl/last                           the name of the folder that was fetched last

A folder appears by a rename, when all of it is there and was looked at; what is damaged counts as absent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import IO, Final, TypeAlias

from nksmesh.adapters.archives import MIB, Kind, unpack
from nksmesh.adapters.charts.archive import digest_of_folder
from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.errors import ConfigError, HeldError, IstioctlError, MeshError
from nksmesh.domain.istioctl.archive import (
    HEADER_BYTES,
    PROGRAM,
    FetchedIstioctl,
    IstioctlArchive,
    Origin,
    archive_named,
    check_contents,
)

MOST_ARCHIVE: Final = 256 * MIB
"""Istio 1.30's archives have some 35 MB, and unpack to 110 MB."""

_ISTIO: Final = Kind(
    what="release of Istio",
    proof=PROGRAM,
    suffix=".tar.gz",
    most_file=256 * MIB,
    most_whole=512 * MIB,
    most_entries=20_000,
    error=IstioctlError,
    hint="The archive was not used. Get it again from a source you trust, or pass another --from.",
)
_LAST: Final = "last"

Pull: TypeAlias = Callable[[int], AsyncGenerator[bytes, None]]
"""What reads an archive, from a byte on."""


class IstioctlCache:
    """The archives that were fetched.

    Args:
        folder: The folder of nksmesh's cache; made when something is first put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "istioctl"

    def find(self, platform: str, version: str = "") -> FetchedIstioctl | None:
        """Find what was fetched for a platform: of a version, or else what was fetched last."""
        if version:
            return self._read(IstioctlArchive(version=version, platform=platform))
        try:
            last = archive_named((self.folder / _LAST).read_text(encoding="utf-8") + ".tar.gz")
        except (OSError, ValueError):
            last = None
        if last is not None and last.platform == platform:
            return self._read(last)
        return None

    def whole(self, archive: IstioctlArchive, digest: str) -> FetchedIstioctl | None:
        """Find what an archive was unpacked to, if none of it has changed since; it is the last one from then on.

        Raises:
            ConfigError: The cache cannot be written.
        """
        fetched = self._read(archive)
        if fetched is None or fetched.origin.digest != digest:
            return None
        try:
            if digest_of_folder(fetched.folder) != self._marker(archive).get("folder"):
                return None
        except (OSError, ValueError):
            return None
        with self._writing():
            self._note_last(archive)
        return fetched

    async def add(self, archive: IstioctlArchive, origin: Origin, pull: Pull) -> FetchedIstioctl:
        """Read an archive, from where an earlier run broke off, and unpack it.

        Raises:
            IstioctlError: It is not what its digest names, or not an archive that may be used.
            HeldError: Another run is reading the same archive.
            ConfigError: The cache cannot be written.
            MeshError: As ``pull`` raises.
        """
        title = f"{archive.name} from {origin.source}"
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{origin.digest.removeprefix('sha256:')}.part"
            with part.open("ab") as file, _held(file, title), _forgotten(part):
                resumed = file.tell() > 0
                if not await _received(part, file, origin.digest, pull, title):
                    if not resumed:
                        raise _another(title, origin.digest, part)
                    file.truncate(0)  # what an earlier run left may be what is wrong
                    if not await _received(part, file, origin.digest, pull, title):
                        raise _another(title, origin.digest, part)
                return await asyncio.to_thread(self._unpacked, archive, origin, part, title)

    async def add_file(self, archive: IstioctlArchive, origin: Origin, file: Path) -> FetchedIstioctl:
        """Unpack an archive that is a file.

        Raises:
            IstioctlError: It is not an archive that may be used.
            ConfigError: It cannot be read, or the cache cannot be written.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            return await asyncio.to_thread(self._unpacked, archive, origin, file, str(file))

    def check(self, archive: IstioctlArchive, file: Path) -> None:
        """Unpack an archive beside the cache, and keep nothing of it.

        Raises:
            IstioctlError: It is not an archive that may be used.
            ConfigError: It cannot be read, or the cache cannot be written.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fresh-", dir=self.folder) as temporary:
                _unpack(archive, file, Path(temporary), str(file))

    def _unpacked(self, archive: IstioctlArchive, origin: Origin, file: Path, title: str) -> FetchedIstioctl:
        target = self._place(archive)
        temporary = Path(tempfile.mkdtemp(prefix=".fresh-", dir=self.folder))
        try:
            fresh = temporary / "fresh"
            fresh.mkdir()
            _unpack(archive, file, fresh, title)
            marker = {**vars(origin), "folder": digest_of_folder(fresh)}
            self._marker_path(archive).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                target.rename(temporary / "former")
            fresh.rename(target)
            write_private(self._marker_path(archive), json.dumps(marker))
            self._note_last(archive)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return FetchedIstioctl(archive=archive, origin=origin, folder=target)

    def _note_last(self, archive: IstioctlArchive) -> None:
        write_private(self.folder / _LAST, self._place(archive).name)

    def _read(self, archive: IstioctlArchive) -> FetchedIstioctl | None:
        try:
            said = self._marker(archive)
            origin = Origin(source=said["source"], digest=said["digest"], manifest=said["manifest"])
        except (OSError, ValueError, KeyError):
            return None
        fetched = FetchedIstioctl(archive=archive, origin=origin, folder=self._place(archive))
        return fetched if fetched.program.is_file() else None

    def _marker(self, archive: IstioctlArchive) -> dict[str, str]:
        said = json.loads(self._marker_path(archive).read_bytes())
        if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
            raise ValueError("it is none of ours")
        return said

    def _place(self, archive: IstioctlArchive) -> Path:
        return self.folder / archive.name.removesuffix(".tar.gz")

    def _marker_path(self, archive: IstioctlArchive) -> Path:
        return self.folder / f"{archive.name.removesuffix('.tar.gz')}.json"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"{error.filename or self.folder}: {error.strerror or error}",
                hint="Check the path, or set NKSMESH_CACHE to a folder with room that you can write to.",
            ) from error


def _unpack(archive: IstioctlArchive, file: Path, into: Path, title: str) -> None:
    with file.open("rb") as content:
        top = unpack(content, into, _ISTIO, title=title)
    with (into / PROGRAM).open("rb") as program:
        check_contents(archive, top, program.read(HEADER_BYTES), title)
    (into / PROGRAM).chmod(0o755)


async def _received(part: Path, file: IO[bytes], digest: str, pull: Pull, title: str) -> bool:
    """Read what is missing of an archive; tell whether it is what its digest names."""
    begun = file.seek(0, 2)
    try:
        async with aclosing(pull(begun)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
                if file.tell() > MOST_ARCHIVE:
                    raise _ISTIO.refused(title, f"is larger than {MOST_ARCHIVE // MIB} MiB")
    except MeshError as error:
        file.flush()
        if not error.passing or file.tell() == begun:  # to go on there would come to the same
            file.truncate(0)
        raise
    file.flush()
    return await asyncio.to_thread(_digest_of, part) == digest


def _digest_of(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def _another(title: str, digest: str, part: Path) -> IstioctlError:
    return IstioctlError(
        f"{title} is not what its digest names",
        hint="The archive was not used. Ask whoever runs the server: what it stores may be damaged.",
        detail=f"expected: {digest}\nit is: {_digest_of(part)}",
    )


@contextlib.contextmanager
def _held(file: IO[bytes], title: str) -> Iterator[None]:
    """Hold a file under way, so that two runs never write into it."""
    held = HeldError(
        f"another nksmesh is fetching {title}", hint="Wait until it has ended, then run the same command again."
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise held from None
    if os.fstat(file.fileno()).st_nlink == 0:  # the other one has just ended, and removed it
        raise held
    yield


@contextlib.contextmanager
def _forgotten(part: Path) -> Iterator[None]:
    """Remove a file under way, but where a later run may go on with it: it broke off, and some of it came."""
    try:
        yield
    except BaseException as error:
        broke_off = error.passing if isinstance(error, MeshError) else not isinstance(error, Exception)
        if not broke_off or part.stat().st_size == 0:
            part.unlink(missing_ok=True)
        raise
    part.unlink(missing_ok=True)
