"""``nksmesh istioctl push``: Istio's archives as an artifact in a registry of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from nksmesh.domain.common.errors import ConfigError, ImageError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, has_failure, warnings_of
from nksmesh.domain.istioctl.archive import archive_of_file
from nksmesh.domain.mesh.catalog import check_hub
from nksmesh.engine.bundles import part_of_file
from nksmesh.engine.copies import MirroredImage, MirrorOptions
from nksmesh.engine.istioctl import original_of
from nksmesh.engine.mirror import mirror
from nksmesh.engine.ports import IstioctlCache, Registries


@dataclass(frozen=True, kw_only=True)
class IstioctlPushed:
    """An artifact of istioctl in a registry.

    Attributes:
        to: The hub.
        files: The archives in it, by their names.
        artifact: The artifact as it was left.
        next_command: What fetches it from there.
    """

    version: str
    to: str
    files: tuple[str, ...]
    artifact: MirroredImage
    findings: tuple[Finding, ...] = ()
    next_command: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.findings)

    @property
    def exit_code(self) -> int:
        """3 where the artifact is not found again."""
        return ImageError.exit_code if has_failure(self.findings) else 0


async def push(
    files: Sequence[Path],
    to: str,
    cache: IstioctlCache,
    registries: Registries,
    *,
    overwrite: bool,
    listener: Listener,
) -> IstioctlPushed:
    """Push archives of one Istio version, one for each platform, as ``HUB/istioctl-tool:VERSION``.

    Raises:
        ConfigError: The files are of several versions, or the hub is no path of a registry.
        IstioctlError: A file is not an archive of Istio that may be used.
        ImageError: The registry does not take the artifact, or has another one.
    """
    hub = check_hub(to, "--to")
    archives = {archive_of_file(file.name): file for file in files}
    versions = sorted({archive.version for archive in archives})
    if len(versions) > 1 or len(archives) < len(files):
        raise ConfigError(
            f"the files are of Istio {', '.join(versions)}" if len(versions) > 1 else "a file is given twice",
            hint="Push one version at a time, with one file for each platform.",
        )
    for archive, file in archives.items():
        await asyncio.to_thread(cache.check, archive, file)
    parts = reduce(or_, (part_of_file(file, archive.name) for archive, file in archives.items()))
    original = original_of(parts, next(iter(archives)), hub, "files")
    (pushed,), findings = await mirror(
        [original], registries, MirrorOptions(to=hub, overwrite=overwrite), listener=listener
    )
    return IstioctlPushed(
        version=versions[0],
        to=hub,
        files=tuple(sorted(archive.name for archive in archives)),
        artifact=pushed,
        findings=findings,
        next_command=f"nksmesh istioctl fetch --hub {hub} --version {versions[0]}",
    )
