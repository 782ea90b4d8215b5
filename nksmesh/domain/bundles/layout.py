"""The images of a bundle as an OCI image layout (OCI image specification, image-layout.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from nksmesh.domain.bundles.contents import BLOBS, BundledImage
from nksmesh.domain.images.manifest import Manifest

VERSION: Final = b'{"imageLayoutVersion":"1.0.0"}\n'
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_NAME: Final = "org.opencontainers.image.ref.name"


def blob_path(digest: str) -> str:
    """Name the file of a blob, or of a manifest."""
    return f"{BLOBS}/{digest.removeprefix('sha256:')}"


def index_of(images: Iterable[tuple[BundledImage, Manifest]]) -> bytes:
    """Write the layout's index: each image by its name below a hub."""
    listed = [
        {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": len(manifest.content),
            "annotations": {_NAME: image.name},
        }
        for image, manifest in images
    ]
    said = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": listed}
    return (json.dumps(said, separators=(",", ":")) + "\n").encode()


def manifest_of(content: bytes, media_type: str = "") -> Manifest:
    """Take a file of a layout for a manifest; an OCI one need not say what it is.

    Args:
        media_type: What it is, where that is known.

    Raises:
        ValueError: It is no JSON object.
    """
    said = json.loads(content)
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - it is the content that is wrong
    guess = _INDEX if "manifests" in said else _MANIFEST
    return Manifest(content=content, media_type=media_type or str(said.get("mediaType") or guess))
