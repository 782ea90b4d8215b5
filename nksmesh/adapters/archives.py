"""Gzipped tar archives of others: unpacked without trusting them."""

from __future__ import annotations

import errno
import gzip
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nksmesh.domain.common.errors import MeshError

MIB: Final = 1024 * 1024
_TAR_OVERHEAD: Final = 16 * MIB
"""Headers and padding that the entries of an archive may take beside what the files hold."""

_EXECUTABLE: Final = 0o100


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What archives of a kind may be.

    Attributes:
        what: What one is, for errors: ``chart``.
        proof: The file below the top folder without which it is none.
        suffix: What the archive's name ends in, for errors.
        most_file: Bytes of one file.
        most_whole: Bytes of all files together.
        most_entries: Files and folders.
        error: The error that refuses one.
        hint: The next step where one is refused.
    """

    what: str
    proof: str
    suffix: str
    most_file: int
    most_whole: int
    most_entries: int
    error: type[MeshError]
    hint: str

    def refused(self, title: str, reason: str) -> MeshError:
        """Refuse an archive; ``title`` is what errors call it."""
        return self.error(f"{title} {reason}", hint=self.hint)


def unpack(archive: IO[bytes], into: Path, kind: Kind, *, title: str) -> str:
    """Unpack an archive: what its one top folder holds is put into ``into``.

    Args:
        into: A folder that is there and empty; nothing is written outside of it.
        title: What errors call the archive.

    Returns:
        The name of the top folder.

    Raises:
        MeshError: The kind's own: the archive is broken, too large, or not what one of its kind may be.
        OSError: The folder cannot be written.
    """
    try:
        bounded = _Bounded(archive, kind, title)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            top = _unpack(tar, into, kind, title)
        # The checksum stands at the very end, which tarfile has no need to read.
        while bounded.read(MIB):
            pass
    # tarfile lets some of what its parsing of headers meets through as it is.
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, LookupError) as error:
        raise kind.refused(title, f"is not a whole {kind.suffix} archive ({error})") from error
    except OSError as error:
        # gzip raises a bare OSError without errno for what is not gzip.
        if error.errno is None or error.errno in {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}:
            reason = f"is not a whole {kind.suffix} archive ({error.strerror or error})"
            raise kind.refused(title, reason) from error
        raise
    return top


class _Members:
    """The members of one archive, each judged beside those before it."""

    def __init__(self, kind: Kind, title: str) -> None:
        self._kind = kind
        self._title = title
        self._folders: dict[PurePosixPath, bool] = {}
        self._whole = 0
        self.top = ""

    def admit(self, member: tarfile.TarInfo) -> PurePosixPath:
        """The member's path below the top folder.

        Raises:
            MeshError: An archive of the kind may not hold it.
        """
        path = self._safe_path(member.name)
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise self._refused(f"holds {member.name!r}, which is a link, a device or a sparse file")
        self.top = self.top or path.parts[0]
        if path.parts[0] != self.top:
            raise self._refused(f"holds two top folders, {self.top!r} and {path.parts[0]!r}")
        if len(path.parts) == 1 and not member.isdir():
            raise self._refused(f"holds the file {member.name!r} outside a top folder")
        self._admit_place(path, member)
        self._admit_size(member)
        return path.relative_to(self.top)

    def _admit_place(self, path: PurePosixPath, member: tarfile.TarInfo) -> None:
        if path in self._folders and not (self._folders[path] and member.isdir()):
            raise self._refused(f"holds {member.name!r} twice")
        for parent in path.parents:
            if not self._folders.setdefault(parent, True):
                raise self._refused(f"holds {member.name!r} inside a file")
        self._folders[path] = member.isdir()
        if len(self._folders) > self._kind.most_entries:
            raise self._refused(f"holds more than {self._kind.most_entries} entries")

    def _admit_size(self, member: tarfile.TarInfo) -> None:
        if member.size < 0:
            raise self._refused(f"gives {member.name!r} a size below zero")
        self._whole += member.size
        if member.size > self._kind.most_file or self._whole > self._kind.most_whole:
            limits = (
                f"{self._kind.most_file // MIB} MiB a file and {self._kind.most_whole // MIB} MiB in all are the limits"
            )
            raise self._refused(f"is too large at {member.name!r}: {limits}")

    def _safe_path(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
            raise self._refused(f"holds {name!r}, a path that leads outside the {self._kind.what}")
        return path

    def _refused(self, reason: str) -> MeshError:
        return self._kind.refused(self._title, reason)


def _unpack(tar: tarfile.TarFile, into: Path, kind: Kind, title: str) -> str:
    members = _Members(kind, title)
    for member in tar:
        # `tar -C folder .` writes an entry for the folder itself.
        if member.isdir() and member.name == ".":
            continue
        target = into / members.admit(member)
        (target if member.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        if content is not None:
            with target.open("wb") as file:
                shutil.copyfileobj(content, file, MIB)
            if member.mode & _EXECUTABLE:
                target.chmod(0o755)
    if not (into / kind.proof).is_file():
        raise kind.refused(title, f"holds no {kind.proof} in its top folder: it is not a {kind.what}")
    return members.top


class _Bounded(gzip.GzipFile):
    """What a gzipped archive unpacks to, up to the size an honest one can have."""

    def __init__(self, archive: IO[bytes], kind: Kind, title: str) -> None:
        super().__init__(fileobj=archive)
        self._left = kind.most_whole + _TAR_OVERHEAD
        self._kind = kind
        self._title = title

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(self._left + 1 if size is None or size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise self._kind.refused(self._title, f"unpacks to more than {self._kind.most_whole // MIB} MiB")
        return data
