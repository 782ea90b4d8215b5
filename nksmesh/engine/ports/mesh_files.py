"""values/: nksmesh's own, with the user's folder over it: the port."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nksmesh.domain.mesh.catalog import Catalog, Environment


class MeshFiles(Protocol):
    """values/: nksmesh's own, with the user's folder over it."""

    @property
    def folder(self) -> str:
        """The user's folder; empty without one."""

    def catalog(self) -> Catalog:
        """Read the catalog."""

    def environment_names(self) -> tuple[str, ...]:
        """List the environments."""

    def environment(self, name: str) -> Environment:
        """Read an environment."""

    def write_starter(self, folder: Path) -> tuple[str, ...]:
        """Write a starter into a folder."""

    def write_environment(self, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """Write an environment into the user's folder."""
