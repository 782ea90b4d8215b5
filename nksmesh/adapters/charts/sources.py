"""Where charts come from: a folder of archives or unpacked charts, or a Helm repository."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import newest_first, public_source
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.common.paths import at_home

_SHOWN = 5


@dataclass(frozen=True)
class Folder:
    """A folder of archives (NAME-VERSION.tgz) or unpacked charts (NAME or NAME-VERSION)."""

    path: Path

    def archive_of(self, ref: ChartRef) -> Path | None:
        """The archive of a chart, None where there is none."""
        path = self.path / f"{ref.name}-{ref.version}.tgz"
        return path if path.is_file() else None

    def unpacked(self, ref: ChartRef) -> list[Path]:
        """The folders that may be this chart unpacked; their Chart.yaml decides."""
        names = (f"{ref.name}-{ref.version}", ref.name)
        return [self.path / name for name in names if (self.path / name / "Chart.yaml").is_file()]

    def versions(self, name: str) -> list[str]:
        """The versions of a chart that archives here are named after."""
        stems = (path.name.removesuffix(".tgz") for path in self.path.glob(f"{name}-*.tgz"))
        found = (stem.removeprefix(f"{name}-") for stem in stems)
        return newest_first(version for version in found if version[:1].isdigit())


@dataclass(frozen=True)
class Repository:
    """A Helm repository.

    Attributes:
        url: Its URL, a user and password included.
    """

    url: str


Source: TypeAlias = Folder | Repository


def source_named(text: str) -> Source:
    """Tell what a source is from how it is written.

    Raises:
        ConfigError: It is a URL that is neither of a Helm repository nor of a folder.
        ChartError: It is a folder that is not there.
    """
    if "://" not in text:
        return _folder(at_home(text), text)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(
            f"--charts {public_source(text)} is not a URL ({error})", hint="Write it as https://HOST/PATH, or a folder."
        ) from None
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return _folder(Path(unquote(parts.path)), text)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return Repository(text)
    raise ConfigError(
        f"--charts {public_source(text)}: charts cannot be fetched from {parts.scheme}://",
        hint="Pass a Helm repository (https://...), or a folder with charts fetched by `helm pull`.",
    )


def unknown_version(ref: ChartRef, versions: Iterable[str]) -> ChartError:
    """The error for a chart or version that a source does not have, with those it has."""
    known = newest_first(versions)
    near = difflib.get_close_matches(ref.version, known, n=_SHOWN, cutoff=0.6)
    said = f"The nearest versions are {', '.join(near)}." if near else f"It has {', '.join(known[:_SHOWN])}."
    if not known:
        said = f"It has no chart {ref.name}. Pass another source with --charts."
    elif len(known) > _SHOWN:
        said += f" There are {len(known)} in all."
    return ChartError(f"there is no chart {ref} in {public_source(ref.source)}", hint=said)


def _folder(path: Path, text: str) -> Folder:
    if not path.is_dir():
        raise ChartError(
            f"--charts {public_source(text)}: the folder does not exist",
            hint="Pass a folder of NAME-VERSION.tgz archives or of unpacked charts, or a repository's https:// URL.",
        )
    return Folder(path)
