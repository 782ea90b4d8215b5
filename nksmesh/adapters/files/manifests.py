"""Objects from YAML files that somebody would pass to kubectl: Istio's samples and add-ons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.helm_yaml import NotYamlError, documents
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.samples.object_set import ObjectSet
from nksmesh.domain.values.layers import Path as KeyPath
from nksmesh.domain.values.layers import dotted, value_at

_SUFFIXES: Final = {".yaml", ".yml"}

_POD_TEMPLATES: Final[Mapping[str, KeyPath]] = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")}
"""Where a kind has its pod template, if it is not where workloads usually have it."""


def read_manifests(path: Path) -> tuple[Manifest, ...]:
    """Read the objects of a YAML file, or of every YAML file below a folder; a List is read as its items.

    What is no object of Kubernetes, such as an OpenAPI description beside them, is passed over.

    Raises:
        ConfigError: A file cannot be read, is not YAML, or has an object that Kubernetes would not take; or there is no
            object.
    """
    found = tuple(manifest for file in _files(path) for manifest in _objects(_documents(file), file))
    if not found:
        raise ConfigError(
            f"{path} has no Kubernetes object", hint="Pass a YAML file, or a folder with YAML files in it."
        )
    return found


def read_sample(folder: Path, wanted: ObjectSet) -> tuple[Manifest, ...]:
    """Read the objects of one of Istio's samples or add-ons.

    Args:
        folder: The sample's own folder, ``samples``, or the folder of an Istio release, which has ``samples`` in it.

    Raises:
        ConfigError: The sample is not there, or as ``read_manifests`` says.
    """
    roots = (folder, folder / wanted.folder, folder / "samples" / wanted.folder)
    root = next((root for root in roots if (root / wanted.files[0]).is_file()), None)
    if root is None:
        raise ConfigError(
            f"{folder} does not contain Istio's sample {wanted.name}: it has no {wanted.folder}/{wanted.files[0]}",
            hint="Pass the folder samples of an Istio release with --samples.",
        )
    return tuple(manifest for file in wanted.files for manifest in read_manifests(root / file))


def _files(path: Path) -> list[Path]:
    try:
        return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    except OSError as problem:
        raise _unreadable(path, problem) from problem


def _unreadable(path: Path, problem: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {problem.strerror}", hint="Check the path and its permissions.")


def _documents(file: Path) -> list[Any]:
    try:
        return documents(file.read_bytes())
    except OSError as problem:
        raise _unreadable(file, problem) from problem
    except NotYamlError as problem:
        raise ConfigError(
            f"{file} is not YAML: {problem}", hint="Mend the file, or pass a folder that does not contain it."
        ) from problem


def _objects(found: Iterable[Any], file: Path) -> Iterator[Manifest]:
    for document in found:
        if isinstance(document, dict) and isinstance(document.get("items"), list):
            yield from _objects(document["items"], file)
        elif isinstance(document, dict) and all(isinstance(document.get(key), str) for key in ("apiVersion", "kind")):
            name = value_at(document, ("metadata", "name")) or ""
            if fault := next(_faults(document), ""):
                subject = f"{document['kind']} {name}".strip()
                raise ConfigError(
                    f"{file}: {subject}: {fault}",
                    hint="Mend the file, or pass a folder that does not contain it.",
                )
            yield {**document, "metadata": {**(document.get("metadata") or {}), "name": str(name)}}


def _faults(manifest: Manifest) -> Iterator[str]:
    """Name the fields that are not of the type that Kubernetes has, of those that images are read from."""
    template = _POD_TEMPLATES.get(manifest["kind"], ("spec", "template"))
    above = [template[:length] for length in range(1, len(template) + 1)] if manifest["kind"] in _POD_TEMPLATES else []
    metadata = ("metadata",), ("metadata", "annotations")
    data: list[KeyPath] = [("data",)] if manifest["kind"] == "ConfigMap" else []
    for path in (*metadata, *above, *((*template, *below) for below in metadata), (*template, "spec"), *data):
        if not isinstance(value_at(manifest, path) or {}, Mapping):
            yield f"{dotted(path)} is not a map"
    for field in ("initContainers", "containers", "ephemeralContainers"):
        path = (*template, "spec", field)
        some = value_at(manifest, path) or []
        if not isinstance(some, list) or not all(isinstance(container, Mapping) for container in some):
            yield f"{dotted(path)} is not a list of maps"
