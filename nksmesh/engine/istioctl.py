"""istioctl as an artifact that is pushed: files, or a bundle's, as a registry that has nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import PurePosixPath

from nksmesh.domain.images.manifest import Descriptor, Manifest
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.istioctl.archive import TOOL, IstioctlArchive
from nksmesh.domain.istioctl.artifact import CONFIG, artifact_in, config_blob, manifest_of
from nksmesh.engine.bundles import Parts
from nksmesh.engine.copies import Original


def original_of(parts: Parts, archive: IstioctlArchive, hub: str, place: str) -> Original:
    """Describe the copy of archives into a hub, as the artifact of their version.

    Args:
        parts: The archives.
        archive: One of them.
        place: What they are in, for messages: ``files``.

    Raises:
        ConfigError: The hub is no path of a registry.
    """
    name = Reference(place, TOOL, archive.version)
    return Original(image=name, copy=artifact_in(hub, archive.version), registry=_ArchiveReader(parts), by_layers=True)


class _ArchiveReader:
    """An artifact as a registry that has nothing else, and takes nothing."""

    def __init__(self, parts: Parts) -> None:
        files = {
            PurePosixPath(file.path).name: (Descriptor(digest=f"sha256:{file.sha256}", size=file.size), file.path)
            for file in parts.files
        }
        self._manifest = manifest_of({name: blob for name, (blob, _) in files.items()})
        self._content = {blob.digest: parts.content[path] for blob, path in files.values()}
        self._content[config_blob().digest] = CONFIG

    async def digest(self, _image: Reference) -> str:
        return self._manifest.digest

    async def read(self, _image: Reference) -> Manifest:
        return self._manifest

    async def pull(self, _image: Reference, blob: Descriptor) -> AsyncGenerator[bytes, None]:
        content = self._content[blob.digest]
        if isinstance(content, bytes):
            yield content
            return
        async for piece in content():
            yield piece
