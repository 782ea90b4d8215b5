"""The files of meshes as commands see them: nksmesh's own, with the user's folder over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nksmesh.adapters.files import catalog, written
from nksmesh.adapters.files.documents import decode, read_bytes
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.common.paths import at_home
from nksmesh.domain.mesh.catalog import Catalog, Environment, ValuesFile


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
        """Write a starter into a folder."""
        return written.write_starter(folder)

    def write_environment(self, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """Write an environment into the user's folder."""
        return written.write_environment(self.folders, name, documents)
