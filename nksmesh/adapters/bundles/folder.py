"""The small files of a bundle in a folder, as ``--dir`` takes it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nksmesh.adapters.bundles.tar import Bundle
from nksmesh.adapters.files.documents import read_document
from nksmesh.adapters.files.folders import packaged
from nksmesh.adapters.files.recipes import RECIPES
from nksmesh.domain.bundles.contents import LOCK, VALUES
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.plan.diff import masked_value
from nksmesh.domain.values.layers import dotted, leaves

_ENVIRONMENTS: Final = "environments"


def unpack(bundle: Bundle, below: Path) -> Path:
    """Write values and charts.lock of a bundle into a folder that is named by its contents.

    Raises:
        ConfigError: The folder cannot be written.
        BundleError: A file is not what the bundle lists.
    """
    target = below / hashlib.sha256(bundle.contents.text().encode()).hexdigest()
    names = [file.path for file in bundle.contents.files if file.path == LOCK or file.path.startswith(f"{VALUES}/")]
    files = {name: bundle.read(name) for name in names}
    try:
        below.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=below))
        try:
            for name, content in files.items():
                place = fresh / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            if _holds(target, files):
                return target
            if target.exists():  # somebody has changed it since
                shutil.rmtree(target)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise ConfigError(
            f"{below} cannot be written: {error.strerror or error}",
            hint="Set NKSMESH_CACHE to a folder that can be written.",
        ) from error
    return target


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Tell whether a folder has these files and no others, so that whoever is reading it is left alone."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return there.keys() == files.keys() and all(there[name].read_bytes() == files[name] for name in files)


@dataclass(frozen=True)
class Values:
    """Values that go into a bundle.

    Attributes:
        files: The files, by their path in a folder of meshes.
        secrets: What looks like a secret in them: a file and a key each, and nothing of it.
    """

    files: dict[str, bytes]
    secrets: tuple[str, ...]


def values_for(folder: Path | None, environment: str) -> Values:
    """Read what a mesh is resolved from: nksmesh's own values and the user's over them, of one environment alone.

    Args:
        folder: The user's folder of meshes; None without one.

    Raises:
        ConfigError: A file cannot be read, or is not YAML.
    """
    found: dict[str, Path] = {}
    for home in filter(None, (packaged(VALUES).parent, folder)):
        found |= {path.relative_to(home).as_posix(): path for path in _yaml_files(home / VALUES, environment)}
    files: dict[str, bytes] = {}
    secrets: list[str] = []
    for name, path in sorted(found.items()):
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check its permissions.") from error
        values = read_document(path, name).values
        secrets += [
            f"{dotted(key)} in {name}" for key, value in leaves(values) if key and masked_value(value, key[-1]) != value
        ]
    return Values(files, tuple(secrets))


def _yaml_files(values: Path, environment: str) -> Iterator[Path]:
    """Go through the YAML files below ``values/`` that a mesh is resolved from; links are not followed.

    Recipes for traffic are left out, and of environments all but the one that is named.
    """
    others = values / _ENVIRONMENTS
    for path in values.rglob("*.yaml"):
        parts = path.relative_to(values).parts
        elsewhere = path.is_relative_to(others) and parts[1] != environment
        if (
            not elsewhere
            and parts[0] != RECIPES
            and path.is_file()
            and not path.is_symlink()
            and not any(part.startswith(".") for part in parts)
        ):
            yield path
