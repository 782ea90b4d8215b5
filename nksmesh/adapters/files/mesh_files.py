"""The files of meshes as commands see them: nksmesh's own, with the user's folder over them; and what init writes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nksmesh.adapters.files import catalog
from nksmesh.adapters.files.documents import decode, dump_document, read_bytes
from nksmesh.adapters.files.folders import LOCK, ValuesFolders, packaged
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home
from nksmesh.domain.mesh.catalog import Catalog, Environment, ValuesFile

if TYPE_CHECKING:
    from nksmesh.domain.traffic.recipes import Recipe

STARTER: Final = Path(__file__).parent / "starter"


@dataclass(frozen=True, kw_only=True)
class MeshFiles:
    """Everything that is read from values/.

    Attributes:
        folders: The user's values/ over the packaged one.
    """

    folders: ValuesFolders

    @property
    def folder(self) -> str:
        """The user's folder; empty without one."""
        return "" if self.folders.user is None else str(self.folders.user)

    def catalog(self) -> Catalog:
        """Read the catalog."""
        return catalog.load_catalog(self.folders)

    def recipes(self) -> dict[str, Recipe]:
        """Read the recipes for traffic, by name."""
        from nksmesh.adapters.files.recipes import load_recipes  # noqa: PLC0415 - the traffic commands' alone

        return load_recipes(self.folders)

    def environment_names(self) -> tuple[str, ...]:
        """List the environments."""
        return catalog.environment_names(self.folders)

    def environment(self, name: str) -> Environment:
        """Read an environment."""
        return catalog.load_environment(self.folders, name)

    def values_option(self, text: str) -> tuple[str, ValuesFile]:
        """Read ``-f COMPONENT=FILE``, relative to where the user is."""
        return catalog.load_values_option(text)

    def text(self, path: str) -> str:
        """Read a file of ``--set-file``, relative to where the user is."""
        return decode(read_bytes(at_home(path), path), path)

    def write_starter(self, folder: Path) -> tuple[str, ...]:
        """Write a starter into a folder, which is made where it is not there yet.

        Returns:
            The files written, relative to the folder, in order.

        Raises:
            ConfigError: One of the files is there already, and nothing is written; or the folder cannot be written.
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

    def write_environment(self, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """Write an environment's files into the user's folder; all of them or none.

        Args:
            documents: The files' contents by their names.

        Returns:
            The files written, relative to the user's folder.

        Raises:
            ConfigError: There is no such folder, the environment is there already, or it cannot be written.
        """
        if self.folders.user is None:
            raise ConfigError(
                f"no folder to write environment {name} to",
                hint="Pass a folder with --dir, or run nksmesh init FOLDER to create one.",
            )
        target = self.folders.user / "values" / catalog.ENVIRONMENTS / name
        made = False
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir()
            made = True
            for file, values in documents.items():
                (target / file).write_text(dump_document(values), encoding="utf-8")
        except FileExistsError as problem:
            raise ConfigError(
                f"{target} already exists, and is not overwritten", hint="Choose another name."
            ) from problem
        except OSError as problem:
            if made:
                shutil.rmtree(target, ignore_errors=True)
            raise ConfigError(
                f"{problem.filename or target} cannot be written: {problem.strerror}",
                hint="Pass a folder that you can write to with --dir.",
            ) from problem
        return tuple(f"values/{catalog.ENVIRONMENTS}/{name}/{file}" for file in documents)
