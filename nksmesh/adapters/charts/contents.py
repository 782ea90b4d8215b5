"""What an unpacked chart says: Chart.yaml, values.yaml, crds/, and its templates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.helm_yaml import NotYamlError, document, documents
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.common.errors import ChartError

_MANIFESTS: Final = frozenset({".yaml", ".yml", ".json"})
"""The endings Helm takes CRDs from (helm: pkg/chart, hasManifestExtension)."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The parsed files of a chart, as JSON could hold them."""

    name: str
    version: str
    app_version: str
    defaults: dict[str, Any]
    crds: list[dict[str, Any]]

    def to_json(self) -> bytes:
        """The contents for the cache."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Contents:
        """Contents out of the cache."""
        return cls(**json.loads(text))


def read_contents(folder: Path, *, title: str) -> Contents:
    """Parse a chart's files.

    Args:
        folder: Where they are.
        title: What errors call the chart.

    Raises:
        ChartError: One of them is not what a chart's file must be.
        OSError: One of them cannot be read.
    """
    about = about_chart(folder, title=title)
    for key in ("name", "version"):
        if not isinstance(about.get(key), str):
            raise _broken(title, f"Chart.yaml has no {key}")
    values = folder / "values.yaml"
    defaults = (_parsed(values, title) if values.is_file() else None) or {}
    if not isinstance(defaults, dict):
        raise _broken(title, "values.yaml is not a mapping")
    contents = Contents(
        name=about["name"],
        version=about["version"],
        app_version=str(about.get("appVersion") or ""),
        defaults=defaults,
        crds=_crds(folder, title),
    )
    try:
        # Keys become strings here, as they do for Helm, and a chart reads the same with and without the cache.
        return Contents.from_json(contents.to_json())
    except (TypeError, ValueError, RecursionError) as error:
        raise _broken(title, f"a value cannot be written as JSON, which Helm needs: {error}") from error


def about_chart(folder: Path, *, title: str) -> dict[str, Any]:
    """Parse a chart's Chart.yaml.

    Raises:
        ChartError: It is no mapping.
        OSError: It cannot be read.
    """
    about = _parsed(folder / "Chart.yaml", title)
    if not isinstance(about, dict):
        raise _broken(title, "Chart.yaml is not a mapping")
    return about


def check_identity(contents: Contents, ref: ChartRef, *, title: str) -> None:
    """See that a chart is the one that was asked for.

    Raises:
        ChartError: Its Chart.yaml names another chart or version.
    """
    if (contents.name, contents.version) != (ref.name, ref.version):
        raise ChartError(
            f"{title} should be {ref}, but its Chart.yaml says {contents.name} {contents.version}",
            hint="Correct the source, or pass another one with --charts.",
        )


def _crds(folder: Path, title: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "crds").rglob("*")):
        if path.suffix not in _MANIFESTS or not path.is_file():
            continue
        try:
            crds = documents(path.read_bytes())
        except NotYamlError as error:
            raise _broken(title, f"{path.relative_to(folder)} is not YAML: {error}") from error
        if not all(isinstance(crd, dict) for crd in crds):
            raise _broken(title, f"{path.relative_to(folder)} holds a document that is not a mapping")
        found += crds
    return found


def _parsed(path: Path, title: str) -> Any:
    try:
        return document(path.read_bytes())
    except NotYamlError as error:
        raise _broken(title, f"{path.name} is not YAML: {error}") from error


def _broken(title: str, problem: str) -> ChartError:
    return ChartError(f"{title}: {problem}", hint="Correct the chart, or pass another source with --charts.")


class Templates(Mapping[str, str]):
    """The texts of a chart's templates, by their paths in it.

    They are what Helm renders (templates/), what is a template below files/, and charts that it depends on (charts/).

    Args:
        title: What errors call it.
    """

    def __init__(self, folder: Path, *, title: str) -> None:
        self._folder = folder
        self._title = title

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    @cached_property
    def _texts(self) -> dict[str, str]:
        try:
            return dict(self._read())
        except OSError as error:
            raise ChartError(
                f"{self._title}: a template cannot be read: {error.filename}: {error.strerror or error}",
                hint="Make the chart's folder readable, or pass another source with --charts.",
            ) from error

    def _read(self) -> Iterator[tuple[str, str]]:
        for top in ("charts", "files", "templates"):
            for path in sorted((self._folder / top).rglob("*")):
                if not path.is_file():
                    continue
                text = path.read_bytes().decode(errors="replace")
                if top != "files" or "{{" in text:
                    yield path.relative_to(self._folder).as_posix(), text
