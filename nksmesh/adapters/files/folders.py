"""Where values/ and charts.lock are: nksmesh's own, and the user's folder laid over them, file by file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nksmesh
from nksmesh.domain.common.errors import ConfigError

LOCK: Final = "charts.lock"
_MARK: Final = re.compile(rb"^nksmesh:[ \t]*1[ \t]*(#.*)?\r?$", re.MULTILINE)
_HEAD: Final = 65536


def packaged(name: str) -> Path:
    """Find a folder or file that ships with nksmesh: ``values``, ``charts.lock``, ``examples/charts``.

    A wheel has it in ``nksmesh/data``; a development install has it in the checkout.
    """
    package = Path(nksmesh.__file__).parent
    in_wheel = package / "data" / name
    return in_wheel if in_wheel.exists() else package.parent / name


def is_ours(folder: Path) -> bool:
    """Whether a folder's charts.lock says that it is a folder of meshes: its key ``nksmesh: 1``."""
    try:
        with (folder / LOCK).open("rb") as lock:
            return _MARK.search(lock.read(_HEAD)) is not None
    except OSError:
        return False


def user_folder(option: Path | None, current: Path) -> Path | None:
    """Find the user's folder: the one given with ``--dir``, or the current one when it is one of ours.

    Raises:
        ConfigError: The folder given is none of ours.
    """
    if option is None:
        return current if is_ours(current) else None
    if not option.is_dir():
        raise ConfigError(f"--dir {option}: the folder does not exist", hint=f"Run nksmesh init {option} to create it.")
    if not is_ours(option):
        raise ConfigError(
            f"--dir {option}: it has no {LOCK} with the key nksmesh: 1",
            hint=f"Pass the folder that contains {LOCK} and values/, or run nksmesh init NEW_FOLDER to create one.",
        )
    return option


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file, in whichever folder has it.

    Attributes:
        file: Its path.
        shown: Its path as a reader knows it, from the folder that holds values/.
        ours: It is nksmesh's own.
    """

    file: Path
    shown: str
    ours: bool


@dataclass(frozen=True, kw_only=True)
class ValuesFolders:
    """The user's values/ over the packaged one: a file of the user's takes the place of the packaged one's.

    Attributes:
        user: The folder that holds the user's values/ and charts.lock; None without one.
    """

    user: Path | None = None

    def find(self, *parts: str) -> Found | None:
        """Find a file by its path below values/; None where neither folder has it."""
        shown = "/".join(("values", *parts))
        for folder, ours in self._folders():
            file = folder.joinpath(*parts)
            if file.is_file():
                return Found(file=file, shown=shown, ours=ours)
        return None

    def find_all(self, *parts: str) -> list[Found]:
        """Find a file in both folders, nksmesh's own first: what the user's says is laid over it."""
        shown = "/".join(("values", *parts))
        found = [Found(file=folder.joinpath(*parts), shown=shown, ours=ours) for folder, ours in self._folders()]
        return [place for place in reversed(found) if place.file.is_file()]

    def names(self, *parts: str) -> list[str]:
        """List the entries of a folder below values/, of both, sorted; hidden ones are left out."""
        names: set[str] = set()
        for folder, _ in self._folders():
            try:
                names.update(entry.name for entry in folder.joinpath(*parts).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as problem:
                raise ConfigError(
                    f"{folder.joinpath(*parts)} cannot be read: {problem.strerror}", hint="Check its permissions."
                ) from problem
        return sorted(name for name in names if not name.startswith("."))

    def _folders(self) -> Iterator[tuple[Path, bool]]:
        own = packaged("values")
        if self.user is not None and not _same(self.user / "values", own):
            yield self.user / "values", False
        yield own, True


def _same(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)
