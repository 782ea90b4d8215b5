"""What is written for a user: a folder of their own (init), and an environment in it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.documents import dump_document
from nksmesh.adapters.files.folders import LOCK, ValuesFolders, packaged
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
            f"{folder} already has {', '.join(present)}, and init does not overwrite it",
            hint="Run nksmesh init NEW_FOLDER to write to a new folder.",
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
            hint="Use a folder that you can write to.",
        ) from problem
    return tuple(sources)


ENVIRONMENTS: Final = "environments"


def write_environment(folders: ValuesFolders, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Write an environment's files into the user's folder; all of them or none.

    Args:
        folders: Where values/ is.
        documents: The files' contents by their names.

    Returns:
        The files written, relative to the user's folder.

    Raises:
        ConfigError: There is no such folder, the environment is there already, or it cannot be written.
    """
    if folders.user is None:
        raise ConfigError(
            f"no folder to write environment {name} to",
            hint="Pass a folder with --dir, or run nksmesh init FOLDER to create one.",
        )
    target = folders.user / "values" / ENVIRONMENTS / name
    made = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir()
        made = True
        for file, values in documents.items():
            (target / file).write_text(dump_document(values), encoding="utf-8")
    except FileExistsError as problem:
        raise ConfigError(f"{target} already exists, and is not overwritten", hint="Choose another name.") from problem
    except OSError as problem:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        raise ConfigError(
            f"{problem.filename or target} cannot be written: {problem.strerror}",
            hint="Pass a folder that you can write to with --dir.",
        ) from problem
    return tuple(f"values/{ENVIRONMENTS}/{name}/{file}" for file in documents)
