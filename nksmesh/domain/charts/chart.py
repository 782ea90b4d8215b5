"""Charts: which one is wanted, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.common.data import named
from nksmesh.domain.common.paths import at_home

BUNDLED_SOURCE: Final = "bundle://charts"
"""What charts of a folder are from where they came in a bundle: their folder means nothing there."""

OFFICIAL_SOURCE: Final = "https://istio-release.storage.googleapis.com/charts"
"""Istio's own Helm repository (istio.io, "Install with Helm")."""


def placed_source(source: str, folder: Path) -> str:
    """Return a source that means the same from everywhere: a folder's path is made absolute, a URL stays.

    Args:
        source: As it was written; may be empty.
        folder: The absolute path that a relative one starts from.
    """
    if not source or "://" in source:
        return source
    return str(folder / at_home(source))


@dataclass(frozen=True, kw_only=True, order=True)
class ChartRef:
    """A chart as it is asked for.

    Attributes:
        name: The chart's name: base, istiod, gateway.
        version: Its exact version, such as ``1.20.0``.
        source: Where it comes from: a Helm repository's or a registry's URL, or a folder's path.
    """

    name: str = field(metadata=named("chart"))
    version: str
    source: str = OFFICIAL_SOURCE

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart that was fetched, checked against the lock, and unpacked.

    Attributes:
        ref: What was asked for.
        folder: The unpacked chart: the folder that holds Chart.yaml.
        digest: ``sha256:<hex>`` of the archive, or of the files' names and bytes where there is no archive.
        app_version: Chart.yaml's appVersion.
        defaults: values.yaml, parsed.
        crds: The documents of crds/, parsed, in file order; empty from Istio 1.24 on, where they are templates.
        templates: The texts of templates/ and of the templates below files/, by their paths in the chart; read when
            they are asked for, which may raise a ChartError.
        manifest: ``sha256:<hex>`` of its manifest, where it came from a registry; empty where that is not known.
        from_archive: False for a folder that was unpacked already: charts.lock then has nothing to say.
    """

    ref: ChartRef
    folder: Path
    digest: str
    app_version: str
    defaults: Mapping[str, Any] = field(repr=False)
    crds: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    templates: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    manifest: str = ""
    from_archive: bool = True
