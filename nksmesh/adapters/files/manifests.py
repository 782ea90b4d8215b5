"""Objects from YAML files that somebody would pass to kubectl: Istio's samples and add-ons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.helm_yaml import NotYamlError, documents
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import Manifest

_SUFFIXES: Final = {".yaml", ".yml"}


def read_manifests(path: Path) -> tuple[Manifest, ...]:
    """Read the objects of a YAML file, or of every YAML file below a folder; a List is read as its items.

    What is no object of Kubernetes, such as an OpenAPI description beside them, is passed over.

    Raises:
        ConfigError: A file cannot be read or is not YAML, or there is no object.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    found = tuple(manifest for file in files for manifest in _objects(_documents(file)))
    if not found:
        raise ConfigError(
            f"{path} has no Kubernetes object", hint="Pass a YAML file, or a folder with YAML files in it."
        )
    return found


def _documents(file: Path) -> list[Any]:
    try:
        return documents(file.read_bytes())
    except OSError as problem:
        raise ConfigError(
            f"{file} cannot be read: {problem.strerror}", hint="Check the path and its permissions."
        ) from problem
    except NotYamlError as problem:
        raise ConfigError(
            f"{file} is not YAML: {problem}", hint="Mend the file, or pass a folder that does not contain it."
        ) from problem


def _objects(found: Iterable[Any]) -> Iterator[Manifest]:
    for document in found:
        if isinstance(document, dict) and isinstance(document.get("items"), list):
            yield from _objects(document["items"])
        elif isinstance(document, dict) and {"apiVersion", "kind"} <= document.keys():
            name = (document.get("metadata") or {}).get("name", "")
            yield {**document, "metadata": {**(document.get("metadata") or {}), "name": name}}
