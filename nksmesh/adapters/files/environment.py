"""Writes an environment: a folder values/environments/NAME of the user's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Final

from nksmesh.adapters.files.documents import dump_document
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.common.errors import ConfigError

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
            f"there is no folder of your own to write environment {name} into",
            hint="Name one with --dir, or write one first: nksmesh init FOLDER",
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
        raise ConfigError(
            f"{target} is there already, and nothing is overwritten", hint="Give another name."
        ) from problem
    except OSError as problem:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        raise ConfigError(
            f"{problem.filename or target} cannot be written: {problem.strerror}",
            hint="Name a folder you may write in with --dir.",
        ) from problem
    return tuple(f"values/{ENVIRONMENTS}/{name}/{file}" for file in documents)
