"""``nksmesh env`` and ``nksmesh init``: the meshes a user keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.data import data_of, fields_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.plan.diff import masked_value
from nksmesh.engine.ports import MeshFiles


@dataclass(frozen=True, kw_only=True)
class EnvironmentRow:
    """One environment in the list.

    Attributes:
        environment: What it says; None where its files are wrong.
        problem: What is wrong with its files; empty where nothing is.
    """

    name: str
    environment: Environment | None = None
    problem: str = ""

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: of the environment what a list needs, empty where its files are wrong."""
        keys = ("context", "sandbox", "region", "hub", "version", "profile")
        return {
            "name": self.name,
            "problem": self.problem,
            **{key: getattr(self.environment, key, "") for key in keys},
        }


@dataclass(frozen=True, kw_only=True)
class EnvironmentList:
    """Every environment there is.

    Attributes:
        folder: The user's folder they come from beside the packaged ones; empty without one.
    """

    folder: str = ""
    environments: tuple[EnvironmentRow, ...]


@dataclass(frozen=True, kw_only=True)
class EnvironmentShown:
    """One environment in full."""

    environment: Environment

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: mesh.yaml's keys as a user writes them, without secrets; left out is empty or null."""
        env = self.environment
        files = [{"for": target, "path": file.path, "values": file.values} for target, file in env.files.items()]
        shown = {"network": env.network or "", "charts": public_source(env.charts)}
        hidden: dict[str, Any] = masked_value({"gateways": data_of(env.gateways), "files": files})
        return {"name": env.name, "path": env.path} | fields_of(env) | shown | hidden


@dataclass(frozen=True, kw_only=True)
class StarterWritten:
    """A starter."""

    folder: str
    files: tuple[str, ...]


def list_environments(files: MeshFiles) -> EnvironmentList:
    """List the environments; one whose files are wrong is listed with what is wrong, not hidden behind an error."""
    rows = []
    for name in files.environment_names():
        try:
            rows.append(EnvironmentRow(name=name, environment=files.environment(name)))
        except ConfigError as problem:
            rows.append(EnvironmentRow(name=name, problem=problem.message))
    return EnvironmentList(environments=tuple(rows), folder=files.folder)


def show_environment(files: MeshFiles, name: str) -> EnvironmentShown:
    """Show an environment.

    Raises:
        ConfigError: There is none of that name, or one of its files is wrong.
    """
    return EnvironmentShown(environment=files.environment(name))


def write_starter(files: MeshFiles, folder: Path) -> StarterWritten:
    """Write a starter.

    Raises:
        ConfigError: One of its files is there already, or the folder cannot be written.
    """
    return StarterWritten(folder=str(folder), files=files.write_starter(folder))
