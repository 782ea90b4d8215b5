"""What a registry has under an image's name: a manifest, or an index of several."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFESTS: Final = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_NO_PLATFORM: Final = "unknown"
"""An attestation's: it lies in the index, and nothing runs it."""


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
        listed = [entry.get("platform") or {} for entry in json.loads(index)["manifests"]]
        names = [f"{platform.get('os')}/{platform.get('architecture')}" for platform in listed if platform]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it has no manifests") from error
    return tuple(dict.fromkeys(name for name in names if _NO_PLATFORM not in name))
