"""``nksmesh env`` and ``nksmesh init``: the meshes a user keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.engine.ports import MeshFiles


@dataclass(frozen=True, kw_only=True)
class EnvironmentRow:
    """One environment in the list.

    Attributes:
        name: Its name.
        environment: What it says; None where its files are wrong.
        problem: What is wrong with its files; empty where nothing is.
    """

    name: str
    environment: Environment | None = None
    problem: str = ""

    def to_data(self) -> dict[str, Any]:
        """Return it as the JSON envelope has it."""
        told = self.environment
        return {
            "name": self.name,
            "problem": self.problem,
            **{key: getattr(told, key, "") for key in ("context", "sandbox", "region", "hub", "version", "profile")},
        }


@dataclass(frozen=True, kw_only=True)
class EnvironmentList:
    """Every environment there is.

    Attributes:
        environments: By name.
        folder: The user's folder they come from beside the packaged ones; empty without one.
    """

    environments: tuple[EnvironmentRow, ...]
    folder: str = ""

    def to_data(self) -> dict[str, Any]:
        """Return them as the JSON envelope has them."""
        return {"folder": self.folder, "environments": [row.to_data() for row in self.environments]}


@dataclass(frozen=True, kw_only=True)
class EnvironmentShown:
    """One environment in full.

    Attributes:
        environment: What it says.
    """

    environment: Environment

    def to_data(self) -> dict[str, Any]:
        """Return it as the JSON envelope has it; what mesh.yaml leaves out is empty or null."""
        told = self.environment
        gateways = None
        if told.gateways is not None:
            gateways = [{"name": one.name, "namespace": one.namespace, "values": one.values} for one in told.gateways]
        return {
            "name": told.name,
            "path": told.path,
            "context": told.context,
            "kubeconfig": told.kubeconfig,
            "sandbox": told.sandbox,
            "region": told.region,
            "network": told.network.value if told.network else "",
            "hub": told.hub,
            "version": told.version,
            "profile": told.profile,
            "namespace": told.namespace,
            "charts": public_source(told.charts),
            "full_image_paths": told.full_image_paths,
            "pull_secrets": list(told.pull_secrets),
            "allow_images": list(told.allow_images),
            "releases": dict(told.release_names),
            "gateways": gateways,
            "components": None if told.components is None else list(told.components),
            "files": [{"for": target, "path": file.path, "values": file.values} for target, file in told.files.items()],
        }


@dataclass(frozen=True, kw_only=True)
class StarterWritten:
    """A starter.

    Attributes:
        folder: Where.
        files: What was written, relative to the folder.
    """

    folder: str
    files: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """Return it as the JSON envelope has it."""
        return {"folder": self.folder, "files": list(self.files)}


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
