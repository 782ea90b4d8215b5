"""istioctl in a registry: an OCI artifact with an archive of Istio as a layer for each platform, as oras pushes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.images.manifest import INDEXES, TITLE, Descriptor, Manifest, platforms_of
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.domain.istioctl.archive import TOOL, IstioctlArchive

CONFIG: Final = b"{}"
"""The configuration of an artifact that has none (OCI image specification, "Guidance for an Empty Descriptor")."""

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_ARTIFACT: Final = "application/vnd.unknown.artifact.v1"
_FILE: Final = "application/vnd.oci.image.layer.v1.tar"
"""What oras calls an artifact and its files where it is told nothing else (oras.land, "oras push")."""


def artifact_in(hub: str, version: str) -> Reference:
    """Name the artifact of an Istio version in a hub.

    Raises:
        ConfigError: The hub is no path of a registry.
    """
    return parse_reference(f"{hub.rstrip('/')}/{TOOL}:{version}")


def layer_of(manifest: Manifest, archive: IstioctlArchive, artifact: Reference) -> Descriptor:
    """Find the layer of an artifact that is an archive.

    Args:
        artifact: Its name, for errors.

    Raises:
        IstioctlError: The artifact does not have it: it has other files, or is none.
    """
    try:
        files = manifest.files
    except ValueError as error:
        raise IstioctlError(
            f"{artifact} is not an artifact that can be used: {error}", hint="Push it again: nksmesh istioctl push."
        ) from error
    if archive.name not in files:
        listed = ", ".join(sorted(files) or _platforms(manifest)) or "no files"
        raise IstioctlError(
            f"{artifact} does not have {archive.name}, which this machine needs: it has {listed}",
            hint=f"Push the archive for {archive.platform}: nksmesh istioctl push, or pass --from FILE.",
        )
    return files[archive.name]


def _platforms(manifest: Manifest) -> tuple[str, ...]:
    return platforms_of(manifest.content) if manifest.media_type in INDEXES else ()


def manifest_of(files: Mapping[str, Descriptor]) -> Manifest:
    """Make the manifest of an artifact; the same files always make the same one, for it holds no time.

    Args:
        files: The archives by their names.
    """
    layers = [
        {"mediaType": _FILE, "digest": blob.digest, "size": blob.size, "annotations": {TITLE: name}}
        for name, blob in sorted(files.items())
    ]
    config = config_blob()
    said = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": _ARTIFACT,
        "config": {"mediaType": _EMPTY, "digest": config.digest, "size": config.size},
        "layers": layers,
    }
    return Manifest(content=json.dumps(said, separators=(",", ":")).encode(), media_type=_MANIFEST)


def config_blob() -> Descriptor:
    """Describe the configuration of an artifact."""
    return Descriptor(digest=f"sha256:{sha256(CONFIG).hexdigest()}", size=len(CONFIG))
