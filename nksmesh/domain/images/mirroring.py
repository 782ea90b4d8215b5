"""Where images go when they are copied to another registry, and as what charts lie in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from nksmesh.domain.images.manifest import TITLE, Descriptor, Manifest
from nksmesh.domain.images.reference import Reference, parse_reference

CHARTS: Final = "charts"
"""The part of a path that charts lie below, beside the images."""

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CONTENT: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def target_of(image: str, hub: str, to: str) -> Reference | None:
    """Name the copy of an image: below ``to`` what it is below ``hub``; None where it is not below that.

    Raises:
        ConfigError: It is no image's name.
    """
    prefix = f"{hub.rstrip('/')}/"
    return parse_reference(f"{to.rstrip('/')}/{image.removeprefix(prefix)}") if image.startswith(prefix) else None


def in_hub(image: str, hub: str) -> Reference:
    """Name an image of elsewhere in a registry path: the last part of its name, with its tag and digest.

    Raises:
        ConfigError: The image or the path is none.
    """
    last = str(parse_reference(image)).rpartition("/")[2]
    return parse_reference(f"{hub.rstrip('/')}/{last}")


def seen_through(copy: Reference, to: str, address: str) -> Reference:
    """Name a copy as it is named through another address of its registry: another host, or another hub.

    Raises:
        ConfigError: The address is none.
    """
    if not address:
        return copy
    host, _, path = to.partition("/")
    hub = address.rstrip("/") if "/" in address else f"{address}/{path}"
    name = f"{copy}".removeprefix(f"{parse_reference(f'{host}/{path}/x').host}/")
    return parse_reference(f"{hub}/{name.removeprefix(f'{path}/')}")


@dataclass(frozen=True, kw_only=True)
class PackedChart:
    """A chart as an OCI registry has it: as ``helm push`` writes it, without the time that it adds.

    Attributes:
        about: Its Chart.yaml.
        archive: Its archive.
    """

    name: str
    version: str
    about: Mapping[str, Any] = field(repr=False)
    archive: bytes = field(repr=False)

    @property
    def blobs(self) -> dict[Descriptor, bytes]:
        """Its configuration and its archive."""
        config = json.dumps(self.about, separators=(",", ":")).encode()
        return {_descriptor(content): content for content in (config, self.archive)}

    @property
    def manifest(self) -> Manifest:
        """Its manifest (helm.sh, "Use OCI-based registries"): it says no media type of its own, as Helm's do."""
        config, archive = (
            {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
            for media_type, blob in zip((_CONFIG, _CONTENT), self.blobs, strict=True)
        )
        titles = {TITLE: self.name, "org.opencontainers.image.version": self.version}
        said = {"schemaVersion": 2, "config": config, "layers": [archive], "annotations": titles}
        return Manifest(content=json.dumps(said, separators=(",", ":")).encode(), media_type=_MANIFEST)

    def below(self, to: str) -> Reference:
        """Name it below a hub; a tag has no ``+``, for which Helm writes ``_``.

        Raises:
            ConfigError: The hub is no path of a registry.
        """
        return parse_reference(f"{to.rstrip('/')}/{CHARTS}/{self.name}:{self.version.replace('+', '_')}")


def _descriptor(content: bytes) -> Descriptor:
    return Descriptor(digest=f"sha256:{sha256(content).hexdigest()}", size=len(content))
