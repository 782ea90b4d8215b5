"""What a registry has under an image's name: a manifest, or an index of several."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFESTS: Final = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
TITLE: Final = "org.opencontainers.image.title"
"""The annotation of a layer that names its file (OCI image specification, "Pre-Defined Annotation Keys")."""

_NO_PLATFORM: Final = "unknown"
"""An attestation's: it lies in the index, and nothing runs it."""

_ATTESTED: Final = "vnd.docker.reference.digest"
"""An attestation's annotation that names its image (BuildKit, "Image attestation storage")."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FOREIGN: Final = re.compile(r"foreign|nondistributable")
"""What the media type of a layer says that stays where its URL is: registries take a manifest without it."""


@dataclass(frozen=True, kw_only=True)
class FoundManifest:
    """What a registry has under a name.

    Attributes:
        digest: ``sha256:`` and 64 hexadecimal digits.
        media_type: Its Content-Type.
        platforms: ``linux/amd64`` and the like; empty where the manifest is of one image, whatever it runs on.
    """

    digest: str
    media_type: str
    platforms: tuple[str, ...] = ()


def platforms_of(index: bytes) -> tuple[str, ...]:
    """List the platforms that an index has images for, attestations left out.

    Raises:
        ValueError: It is no index.
    """
    try:
        listed = [entry.get("platform") or {} for entry in _listed(index)]
        names = [f"{platform.get('os')}/{platform.get('architecture')}" for platform in listed if platform]
    except AttributeError as error:
        raise ValueError("it has no manifests") from error
    return tuple(dict.fromkeys(name for name in names if _NO_PLATFORM not in name))


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a manifest says of one of its parts.

    Attributes:
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: In bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest, or an index, as a registry stores it: its digest is that of these very bytes.

    Attributes:
        media_type: Its Content-Type: the bytes may not say it.
    """

    content: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 hexadecimal digits."""
        return "sha256:" + sha256(self.content).hexdigest()

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests that an index lists, attestations too; none where it is no index.

        Raises:
            ValueError: It is no index.
        """
        return _parts(_listed(self.content)) if self.media_type in INDEXES else ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The configuration and the layers of an image; none where it is an index.

        Raises:
            ValueError: It is no image's manifest.
        """
        if self.media_type in INDEXES:
            return ()
        try:
            said = json.loads(self.content)
            parts = [said["config"], *said["layers"]]
            return _parts(part for part in parts if not _FOREIGN.search(str(part.get("mediaType"))))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("it has no configuration and layers") from error

    @property
    def files(self) -> dict[str, Descriptor]:
        """The layers of an artifact by the names of their files (ORAS, "File Path"); layers without one are left out.

        Raises:
            ValueError: It is no artifact's manifest.
        """
        if self.media_type in INDEXES:
            return {}
        try:
            layers = json.loads(self.content)["layers"]
            titled = [(str((layer.get("annotations") or {}).get(TITLE) or ""), layer) for layer in layers]
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("it has no layers") from error
        return {title: part for title, layer in titled if title for part in _parts([layer])}

    def only(self, platforms: Collection[str]) -> Manifest:
        """Leave of an index the images of some platforms and their attestations: another index, with another digest.

        Args:
            platforms: ``linux/amd64``, ``linux/arm/v7``; none for all. What is one image stays as it is.

        Raises:
            LookupError: It has no image for one of them, which the error names.
            ValueError: It is no index.
        """
        if not platforms or self.media_type not in INDEXES:
            return self
        listed = _listed(self.content)
        chosen: set[str] = set()
        for platform in platforms:
            meant = {str(entry.get("digest")) for entry in listed if _runs_on(entry, platform)}
            if not meant:
                raise LookupError(platform)
            chosen |= meant
        kept = [
            entry
            for entry in listed
            if str(entry.get("digest")) in chosen
            or (_runs_on(entry, _NO_PLATFORM) and _attested(entry) in {"", *chosen})
        ]
        if kept == listed:
            return self
        index = json.loads(self.content) | {"manifests": kept}
        return Manifest(content=json.dumps(index, indent=2).encode(), media_type=self.media_type)


def _listed(index: bytes) -> list[dict[str, Any]]:
    try:
        listed = json.loads(index)["manifests"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it has no manifests") from error
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError("its manifests are no list of maps")
    return listed


def _runs_on(entry: Mapping[str, Any], platform: str) -> bool:
    """Tell whether an image is for a platform; ``linux/arm64`` is one of any variant of it."""
    said = entry.get("platform")
    parts = [str(said.get(key) or "") for key in ("os", "architecture", "variant")] if isinstance(said, dict) else []
    return f"{'/'.join(parts)}/".startswith(f"{platform}/")


def _attested(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(_ATTESTED, "")) if isinstance(annotations, dict) else ""


def _parts(said: Iterable[Mapping[str, Any]]) -> tuple[Descriptor, ...]:
    parts = []
    for part in said:
        digest, size = part.get("digest"), part.get("size")
        if not _DIGEST.fullmatch(str(digest)):  # it becomes a part of a URL
            raise ValueError("a digest in it is none of sha256")
        if not isinstance(size, int) or size < 0:
            raise ValueError("a size in it is no number of bytes")
        parts.append(Descriptor(digest=str(digest), size=size))
    return tuple(parts)
