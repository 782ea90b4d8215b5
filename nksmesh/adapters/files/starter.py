"""Writes the starter: a folder of a user's own meshes, with comments."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from nksmesh.adapters.files.folders import LOCK, packaged
from nksmesh.domain.common.errors import ConfigError

STARTER: Final = Path(__file__).parent / "starter"


def write_starter(folder: Path) -> tuple[str, ...]:
    """Write a starter into a folder, which is made where it is not there yet.

    Returns:
        The files written, relative to the folder, in order.

    Raises:
        ConfigError: One of the files is there already, and then nothing is written; or the folder cannot be written.
    """
    sources = {LOCK: packaged(LOCK)}
    sources |= {str(file.relative_to(STARTER)): file for file in sorted(STARTER.rglob("*")) if file.is_file()}
    present = [name for name in sources if (folder / name).exists()]
    if present:
        raise ConfigError(
            f"{folder} has {', '.join(present)} already, and init overwrites nothing",
            hint="Name a new folder: nksmesh init NEW_FOLDER",
        )
    try:
        for name, source in sources.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as read, target.open("xb") as written:
                shutil.copyfileobj(read, written)
    except OSError as problem:
        raise ConfigError(
            f"{problem.filename or folder} cannot be written: {problem.strerror}",
            hint="Name a folder you may write in.",
        ) from problem
    return tuple(sources)
