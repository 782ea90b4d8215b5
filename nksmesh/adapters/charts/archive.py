"""Chart archives: unpacked without trusting them, and what identifies them."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nksmesh.domain.common.errors import ChartError

MIB: Final = 1024 * 1024
MOST_ARCHIVE: Final = 20 * MIB
MOST_FILE: Final = 20 * MIB
MOST_WHOLE: Final = 100 * MIB
MOST_ENTRIES: Final = 10_000
_TAR_OVERHEAD: Final = 16 * MIB
"""Headers and padding that MOST_ENTRIES entries may take beside what the files hold."""


def digest_of(archive: bytes) -> str:
    """``sha256:<hex>`` of an archive's bytes."""
    return f"sha256:{hashlib.sha256(archive).hexdigest()}"


def digest_of_folder(folder: Path) -> str:
    """``sha256:<hex>`` over the files of a folder: relative names in order, and bytes.

    Raises:
        OSError: A file cannot be read.
    """
    whole = hashlib.sha256()
    for name, path in sorted(_files(folder, "")):
        content = Path(path).read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        whole.update(content)
    return f"sha256:{whole.hexdigest()}"


def unpack(archive: IO[bytes], into: Path, *, title: str) -> None:
    """Unpack a chart's archive: what its one top folder holds is put into ``into``.

    Args:
        into: A folder that is there and empty; nothing is written outside of it.
        title: What errors call the archive.

    Raises:
        ChartError: The archive is broken, too large, or not what a chart's archive may be.
        OSError: The folder cannot be written.
    """
    try:
        bounded = _Bounded(archive, title)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            _unpack(tar, into, title)
        # The checksum stands at the very end, which tarfile has no need to read.
        while bounded.read(MIB):
            pass
    # tarfile lets some of what its parsing of headers meets through as it is.
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, LookupError) as error:
        raise _refused(title, f"is not a whole .tgz archive ({error})") from error
    except OSError as error:
        # gzip raises a bare OSError without errno for what is not gzip.
        if error.errno is None or error.errno in {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}:
            raise _refused(title, f"is not a whole .tgz archive ({error.strerror or error})") from error
        raise


class _Members:
    """The members of one archive, each judged beside those before it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._folders: dict[PurePosixPath, bool] = {}
        self._whole = 0
        self._top = ""

    def admit(self, member: tarfile.TarInfo) -> PurePosixPath:
        """The member's path below the top folder.

        Raises:
            ChartError: A chart's archive may not hold it.
        """
        path = _safe_path(member.name, self._title)
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise self._refused(f"holds {member.name!r}, which is a link, a device or a sparse file")
        self._top = self._top or path.parts[0]
        if path.parts[0] != self._top:
            raise self._refused(f"holds two top folders, {self._top!r} and {path.parts[0]!r}")
        if len(path.parts) == 1 and not member.isdir():
            raise self._refused(f"holds the file {member.name!r} outside a top folder")
        self._admit_place(path, member)
        self._admit_size(member)
        return path.relative_to(self._top)

    def _admit_place(self, path: PurePosixPath, member: tarfile.TarInfo) -> None:
        if path in self._folders and not (self._folders[path] and member.isdir()):
            raise self._refused(f"holds {member.name!r} twice")
        for parent in path.parents:
            if not self._folders.setdefault(parent, True):
                raise self._refused(f"holds {member.name!r} inside a file")
        self._folders[path] = member.isdir()
        if len(self._folders) > MOST_ENTRIES:
            raise self._refused(f"holds more than {MOST_ENTRIES} entries")

    def _admit_size(self, member: tarfile.TarInfo) -> None:
        if member.size < 0:
            raise self._refused(f"gives {member.name!r} a size below zero")
        self._whole += member.size
        if member.size > MOST_FILE or self._whole > MOST_WHOLE:
            limits = f"{MOST_FILE // MIB} MiB a file and {MOST_WHOLE // MIB} MiB in all are the limits"
            raise self._refused(f"is too large at {member.name!r}: {limits}")

    def _refused(self, reason: str) -> ChartError:
        return _refused(self._title, reason)


def _unpack(tar: tarfile.TarFile, into: Path, title: str) -> None:
    members = _Members(title)
    for member in tar:
        # `tar -C folder .` writes an entry for the folder itself.
        if member.isdir() and member.name == ".":
            continue
        target = into / members.admit(member)
        (target if member.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        if content is not None:
            target.write_bytes(content.read())
    if not (into / "Chart.yaml").is_file():
        raise _refused(title, "holds no Chart.yaml in its top folder: it is not a chart")


def _safe_path(name: str, title: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise _refused(title, f"holds {name!r}, a path that leads outside the chart")
    return path


def _refused(title: str, reason: str) -> ChartError:
    return ChartError(
        f"{title} {reason}",
        hint="The archive was not used. Fetch it again from a source you trust, or pass another source with --charts.",
    )


class _Bounded(gzip.GzipFile):
    """What a gzipped archive unpacks to, up to the size an honest one can have."""

    def __init__(self, archive: IO[bytes], title: str) -> None:
        super().__init__(fileobj=archive)
        self._left = MOST_WHOLE + _TAR_OVERHEAD
        self._title = title

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(self._left + 1 if size is None or size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise _refused(self._title, f"unpacks to more than {MOST_WHOLE // MIB} MiB")
        return data


def _files(folder: Path | str, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                found.append((f"{prefix}{entry.name}", entry.path))
    return found
