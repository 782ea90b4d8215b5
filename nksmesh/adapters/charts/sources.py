"""Where charts come from: a folder of archives or unpacked charts, a Helm repository, or a registry of images."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from nksmesh.adapters.charts.archive import digest_of
from nksmesh.domain.charts.chart import BUNDLED_SOURCE, ChartRef
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

    def digests(self) -> dict[str, str]:
        """The digest of each archive here, by its file's name.

        Raises:
            OSError: One of them cannot be read.
        """
        return {path.name: digest_of(path.read_bytes()) for path in sorted(self.path.glob("*.tgz"))}

    def write(self, archives: Mapping[str, bytes]) -> None:
        """Write archives into the folder, each whole or not at all; it is made where it is not there.

        Raises:
            OSError: It cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for name, content in archives.items():
            fresh = self.path / f".{name}-{os.getpid()}"
            try:
                fresh.write_bytes(content)
                fresh.replace(self.path / name)
            finally:
                fresh.unlink(missing_ok=True)


@dataclass(frozen=True)
class Repository:
    """A Helm repository.

    Attributes:
        url: Its URL, a user and password included.
    """

    url: str


@dataclass(frozen=True)
class Registry:
    """A registry of images that holds charts: ``oci://HOST/PATH``, and below it a repository for each chart.

    Attributes:
        host: Its address, with the port where it has one.
    """

    url: str
    host: str


@dataclass(frozen=True)
class Bundled:
    """Charts that came in a bundle, and that no other source has: they are in the cache, or cannot be had."""


Source: TypeAlias = Folder | Repository | Registry | Bundled


def source_named(text: str) -> Source:
    """Tell what a source is from how it is written.

    Raises:
        ConfigError: It is a URL that is none of a Helm repository, a registry or a folder.
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
    if text == BUNDLED_SOURCE:
        return Bundled()
    if parts.scheme == "oci" and parts.hostname:
        if parts.username or parts.query or parts.fragment:
            raise ConfigError(
                f"--charts {public_source(text)}: the address of a registry holds a login or a query",
                hint=f"Write oci://HOST/PATH, and run docker login {parts.netloc.rpartition('@')[2]} for the login.",
            )
        return Registry(text.rstrip("/"), parts.netloc)
    raise ConfigError(
        f"--charts {public_source(text)}: charts cannot be fetched from {parts.scheme}://",
        hint="Pass a Helm repository (https://...), a registry (oci://...), or a folder with fetched charts.",
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
