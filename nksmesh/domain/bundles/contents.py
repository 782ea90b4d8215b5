"""What a bundle holds: the list of its contents, which is its first file, and where each thing lies in it.

::

    bundle.json                     this list
    charts/NAME-VERSION.tgz         the charts
    charts.lock, values/...         the folder that --dir takes
    images/                         an OCI image layout
    istioctl/FILE                   an archive of istioctl, as it was given
    SHA256SUMS                      the digests of all files above, for sha256sum -c
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.common.errors import BundleError

CONTENTS: Final = "bundle.json"
SUMS: Final = "SHA256SUMS"
CHARTS: Final = "charts"
LOCK: Final = "charts.lock"
VALUES: Final = "values"
ISTIOCTL: Final = "istioctl"
IMAGES: Final = "images"
BLOBS: Final = f"{IMAGES}/blobs/sha256"
INDEX: Final = f"{IMAGES}/index.json"
LAYOUT: Final = f"{IMAGES}/oci-layout"
FORMAT: Final = 1

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""A chart's name or version: it becomes a part of a path."""

_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*")
"""A relative path, of which no part leads upwards or is hidden."""


@dataclass(frozen=True, kw_only=True, order=True)
class BundledFile:
    """A file of a bundle, and what it must be.

    Attributes:
        sha256: 64 hexadecimal digits.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BundledChart:
    """A chart of a bundle.

    Attributes:
        source: Where it is from; it is kept under that name where the bundle is installed.
        digest: ``sha256:`` and the digest of its archive.
    """

    name: str
    version: str
    source: str
    digest: str

    @property
    def ref(self) -> ChartRef:
        """The chart as it is asked for."""
        return ChartRef(name=self.name, version=self.version, source=self.source)

    @property
    def path(self) -> str:
        """Where its archive lies."""
        return f"{CHARTS}/{self.name}-{self.version}.tgz"


@dataclass(frozen=True, kw_only=True)
class BundledImage:
    """An image of a bundle.

    Attributes:
        name: Its name below a hub: ``pilot:1.30.2``.
        source: Where it was read from.
        digest: The digest of its manifest, or of its index.
        media_type: What kind of manifest that is.
        platforms: ``linux/amd64`` and the like; empty where the manifest is of one image.
    """

    name: str
    source: str
    digest: str
    media_type: str
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BundleContents:
    """What a bundle holds.

    Attributes:
        environment: The environment that its values are of; empty without one.
        profile: The mesh's profile.
        region: The region that it was resolved for; empty with a registry of one's own.
        network: ``public`` or ``private``.
        hub: Where its images are looked for.
        istioctl: The path of istioctl's archive; empty without one.
        files: Every file but the list itself and the sums, by path.
    """

    version: str
    environment: str
    profile: str = ""
    region: str = ""
    network: str = ""
    hub: str
    charts: tuple[BundledChart, ...]
    images: tuple[BundledImage, ...] = ()
    istioctl: str = ""
    files: tuple[BundledFile, ...] = ()

    def text(self) -> str:
        """Write the list, the same for the same contents."""
        said = {
            "nksmesh": FORMAT,
            "version": self.version,
            "environment": self.environment,
            "profile": self.profile,
            "region": self.region,
            "network": self.network,
            "hub": self.hub,
            "charts": [vars(chart) for chart in self.charts],
            "images": [vars(image) | {"platforms": list(image.platforms)} for image in self.images],
            "istioctl": self.istioctl,
            "files": [vars(file) for file in self.files],
        }
        return json.dumps(said, indent=2, ensure_ascii=False) + "\n"

    def sums(self) -> str:
        """Write the digests of its files, as ``sha256sum -c`` reads them."""
        return "".join(f"{file.sha256}  {file.path}\n" for file in self.files)


def parse_contents(text: bytes, bundle: str) -> BundleContents:
    """Read the list of a bundle's contents.

    Raises:
        BundleError: It is none of ours, or names what no bundle has.
    """
    try:
        said = json.loads(text)
        if said["nksmesh"] != FORMAT:
            raise _unusable(bundle, f"it is of format {said['nksmesh']!r}, and this nksmesh reads {FORMAT}")
        if not said["charts"]:
            raise _unusable(bundle, "it has no charts")
        return BundleContents(
            **{key: str(said[key]) for key in ("version", "environment", "profile", "region", "network", "hub")},
            charts=tuple(_chart(entry, bundle) for entry in said["charts"]),
            images=tuple(_image(entry, bundle) for entry in said["images"]),
            istioctl=str(said["istioctl"]),
            files=_files(said["files"], bundle),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unusable(bundle, f"{CONTENTS} cannot be read") from error


def usable_path(path: str) -> bool:
    """Tell whether a bundle may hold a file of this path: a relative one, of plain letters, with nothing hidden."""
    return _PATH.fullmatch(path) is not None and path not in {CONTENTS, SUMS}


def _chart(said: Mapping[str, Any], bundle: str) -> BundledChart:
    chart = BundledChart(**{key: str(said[key]) for key in ("name", "version", "source", "digest")})
    if not (_WORD.fullmatch(chart.name) and _WORD.fullmatch(chart.version) and _DIGEST.fullmatch(chart.digest)):
        raise _unusable(bundle, "it lists a chart whose name, version or digest is none")
    return chart


def _image(said: Mapping[str, Any], bundle: str) -> BundledImage:
    fields = {key: str(said[key]) for key in ("name", "source", "digest", "media_type")}
    if not _DIGEST.fullmatch(fields["digest"]):
        raise _unusable(bundle, "it lists an image whose digest is none")
    return BundledImage(**fields, platforms=tuple(map(str, said["platforms"])))


def _files(said: Iterable[Mapping[str, Any]], bundle: str) -> tuple[BundledFile, ...]:
    files = []
    for entry in said:
        path, size, digest = str(entry["path"]), int(entry["size"]), str(entry["sha256"])
        if not usable_path(path):
            raise _unusable(bundle, f"it lists {path!r}, which no bundle has")
        if size < 0 or not _SHA256.fullmatch(digest):
            raise _unusable(bundle, f"it lists {path} with a size or a digest that is none")
        if path.startswith(f"{BLOBS}/") and path != f"{BLOBS}/{digest}":
            raise _unusable(bundle, f"it lists {path} with another digest than its name")
        files.append(BundledFile(path=path, size=size, sha256=digest))
    if len({file.path for file in files}) != len(files):
        raise _unusable(bundle, "it lists a file twice")
    return tuple(files)


def _unusable(bundle: str, problem: str) -> BundleError:
    return BundleError(
        f"{bundle} is no bundle that can be used: {problem}", hint="Make it again with nksmesh bundle create."
    )
