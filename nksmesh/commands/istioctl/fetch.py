"""``nksmesh istioctl fetch``: istioctl and Istio's samples, in the cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from nksmesh.domain.charts.lock import Lock, public_source
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import ConfigError, DeniedImageError, MissingImageError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.common.spelling import sized
from nksmesh.domain.images.manifest import Descriptor
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.istioctl.archive import (
    FetchedIstioctl,
    IstioctlArchive,
    Origin,
    archive_named,
)
from nksmesh.domain.istioctl.artifact import artifact_in, layer_of
from nksmesh.domain.istioctl.pins import IstioctlPin, IstioctlPins, with_pin
from nksmesh.domain.mesh.versions import parse_version
from nksmesh.engine.bundles import part_of_file
from nksmesh.engine.copies import read_tree
from nksmesh.engine.pipeline import resolve_mesh
from nksmesh.engine.ports import Cluster, IstioctlCache, IstioReleases, LockFile, Registries, Registry
from nksmesh.engine.request import MeshRequest

STEP: Final = "istioctl"
_TOLD_EVERY: Final = 1_000_000
"""Bytes between two events that say how many came."""


@dataclass(frozen=True, kw_only=True)
class IstioctlFetched:
    """An istioctl in the cache.

    Attributes:
        platform: ``linux-amd64`` or ``linux-arm64``.
        source: The hub, the server or the file that it is from.
        digest: ``sha256:<hex>`` of the archive.
        manifest: The digest of the artifact's manifest; empty where it came from no registry.
        pinned: charts.lock has that digest.
        lock: The charts.lock.
        folder: What the archive is unpacked to.
        program: The program istioctl.
        samples: Istio's samples; None where the archive has none.
        fetched: It was fetched by this run.
    """

    version: str
    platform: str
    source: str
    digest: str
    manifest: str
    pinned: bool
    lock: Path
    folder: Path
    program: Path
    samples: Path | None
    fetched: bool


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """How istioctl is fetched.

    Attributes:
        platform: Of which archive.
        locks: The charts.lock.
        locked: Refuse what it does not pin.
        pin: Pin in it what it does not pin: it is the user's own.
    """

    platform: str
    locks: LockFile = field(metadata=HIDDEN)
    locked: bool = False
    pin: bool = False


async def fetch_from_registry(
    request: MeshRequest,
    cluster: Cluster | None,
    registries: Callable[[str], AbstractAsyncContextManager[Registries]],
    cache: IstioctlCache,
    options: FetchOptions,
    *,
    listener: Listener,
) -> IstioctlFetched:
    """Fetch the artifact of a mesh's hub and version.

    Args:
        cluster: Where omitted settings are as installed; None asks no cluster.
        registries: Opens the registries, given the hub.

    Raises:
        ConfigError: No hub is known, or something cannot be read or written.
        CheckError: The region does not provide the version.
        ImageError: The registry does not give the artifact.
        IstioctlError: It is not one that may be used, or not the one that is pinned.
    """
    mesh = (await resolve_mesh(request, cluster, to_write=False)).resolved.mesh
    if not mesh.own_hub:  # an own registry may have any version, and istioctl is bound to no Kubernetes
        refuse_failures(replace(request, force_version=False).judge_version(mesh, ""))
    fetching = _Fetching(
        IstioctlArchive(version=mesh.version, platform=options.platform), mesh.hub, cache, options, listener
    )
    if (there := fetching.pinned_and_there()) is not None:
        return there
    artifact = artifact_in(mesh.hub, mesh.version)
    async with registries(mesh.hub) as opened:
        registry = opened.at(artifact, await opened.login(artifact))
        layer, manifest = await _layer(registry, artifact, fetching.archive)
        origin = Origin(source=mesh.hub, digest=layer.digest, manifest=manifest)
        return await fetching.fetched(origin, lambda begun: registry.pull(artifact, layer, begun), layer.size)


async def fetch_release(
    request: MeshRequest,
    cluster: Cluster | None,
    releases: IstioReleases,
    url: str,
    cache: IstioctlCache,
    options: FetchOptions,
    *,
    listener: Listener,
) -> IstioctlFetched:
    """Fetch an archive as Istio publishes it.

    Args:
        cluster: Where an omitted version is as installed; None asks no cluster.
        url: The server, as it was given.

    Raises:
        ConfigError: No version is known, or something cannot be read or written.
        IstioctlError: The archive cannot be had, is not what its .sha256 says, or not the one that is pinned.
    """
    version = request.options.version
    if version:
        parse_version(version)
    else:
        version = (await resolve_mesh(request, cluster, to_write=False)).resolved.mesh.version
    archive = IstioctlArchive(version=version, platform=options.platform)
    fetching = _Fetching(archive, public_source(url), cache, options, listener)
    if (there := fetching.pinned_and_there()) is not None:
        return there
    origin = Origin(source=public_source(url), digest=await releases.digest(archive))
    return await fetching.fetched(origin, lambda begun: releases.pull(archive, begun))


async def fetch_file(
    file: Path, version: str, cache: IstioctlCache, options: FetchOptions, *, listener: Listener
) -> IstioctlFetched:
    """Take an archive that is a file of this machine; charts.lock pins it only for whoever it came from.

    Args:
        version: What it must be; empty takes the version in its name.

    Raises:
        ConfigError: It cannot be read, its name tells no version, or the cache cannot be written.
        IstioctlError: It is not an archive that may be used.
    """
    named = archive_named(file.name)
    if not version and named is None:
        raise ConfigError(f"the name of {file} does not tell its Istio version", hint="Pass --version X.Y.Z, too.")
    archive = IstioctlArchive(version=version or (named.version if named else ""), platform=options.platform)
    parse_version(archive.version)
    (part,) = part_of_file(file, file.name).files
    origin = Origin(source=str(file), digest=f"sha256:{part.sha256}")
    return await _Fetching(archive, str(file), cache, replace(options, pin=False), listener).unpacked(origin, file)


async def _layer(registry: Registry, artifact: Reference, archive: IstioctlArchive) -> tuple[Descriptor, str]:
    """Find the archive in an artifact, or in the one of an index that is for the platform."""
    try:
        tree = await read_tree(registry, artifact, (archive.platform.replace("-", "/"),))
    except MissingImageError as error:
        error.hint = "Check the version, or pass another --hub, --from release or --from FILE."
        raise
    except DeniedImageError as error:
        error.hint = f"Run nksmesh registry login {artifact.host}, as a user who may pull from there."
        raise
    except (LookupError, ValueError):
        # an index of nothing for this platform: its manifests say what it has
        manifest = await registry.read(artifact)
        return layer_of(manifest, archive, artifact), manifest.digest
    chosen = tree.children[0].manifest if tree.children else tree.manifest
    return layer_of(chosen, archive, artifact), chosen.digest


class _Fetching:
    """One fetch."""

    def __init__(
        self, archive: IstioctlArchive, source: str, cache: IstioctlCache, options: FetchOptions, listener: Listener
    ) -> None:
        self.archive = archive
        self._source = source
        self._cache = cache
        self._options = options
        self._listener = listener
        self._lock: Lock = options.locks.read()
        self._pins = IstioctlPins(self._lock.istioctl, self._lock.file)

    def pinned_and_there(self) -> IstioctlFetched | None:
        """Return what the cache has, where it is what charts.lock pins: then nobody needs to be asked."""
        pin = self._pins.of(self.archive, self._source)
        there = self._cache.whole(self.archive, pin.digest) if pin else None
        if pin is None or there is None:
            return None
        return self._result(replace(there, origin=_origin_of(pin)), fetched=False)

    async def fetched(
        self, origin: Origin, pull: Callable[[int], AsyncGenerator[bytes, None]], size: int = 0
    ) -> IstioctlFetched:
        """Hold an archive against charts.lock, fetch it where the cache lacks it, and pin it.

        Args:
            size: Its bytes; 0 where nobody says.
        """
        self._pins.check(self.archive, origin, locked=self._options.locked)
        there = self._cache.whole(self.archive, origin.digest)
        if there is None:
            self._tell(EventKind.STARTED, f"{self.archive.name}, {sized(size)}" if size else self.archive.name)
            added = await self._cache.add(self.archive, origin, lambda begun: self._told(pull, begun, size))
            self._tell(EventKind.DONE, self.archive.name)
        else:
            added = replace(there, origin=origin)
        self._pin(origin)
        return self._result(added, fetched=there is None)

    async def unpacked(self, origin: Origin, file: Path) -> IstioctlFetched:
        """Hold a file against charts.lock, and unpack it where the cache lacks it."""
        self._pins.check(self.archive, origin, locked=self._options.locked)
        there = self._cache.whole(self.archive, origin.digest)
        return self._result(there or await self._cache.add_file(self.archive, origin, file), fetched=there is None)

    async def _told(
        self, pull: Callable[[int], AsyncGenerator[bytes, None]], begun: int, size: int
    ) -> AsyncGenerator[bytes, None]:
        """Tell how much came, now and then."""
        came = told = begun
        if begun:
            self._tell(EventKind.NOTE, f"{sized(begun)} came in an earlier run")
        async with aclosing(pull(begun)) as pieces:
            async for piece in pieces:
                yield piece
                came += len(piece)
                if came - told >= _TOLD_EVERY:
                    told = came
                    self._tell(EventKind.PROGRESS, f"{sized(came)} of {sized(size)}" if size else sized(came))

    def _tell(self, kind: EventKind, message: str) -> None:
        self._listener(Event(step=STEP, kind=kind, message=message))

    def _pin(self, origin: Origin) -> None:
        pin = IstioctlPin(archive=self.archive, source=origin.source, digest=origin.digest, manifest=origin.manifest)
        if self._options.pin and pin not in self._lock.istioctl:
            self._lock = replace(self._lock, istioctl=with_pin(self._lock.istioctl, pin))
            self._pins = IstioctlPins(self._lock.istioctl, self._lock.file)
            self._options.locks.write(self._lock)

    def _result(self, found: FetchedIstioctl, *, fetched: bool) -> IstioctlFetched:
        return IstioctlFetched(
            version=self.archive.version,
            platform=self.archive.platform,
            source=found.origin.source,
            digest=found.origin.digest,
            manifest=found.origin.manifest,
            pinned=self._pins.has(self.archive, found.origin),
            lock=self._options.locks.path,
            folder=found.folder,
            program=found.program,
            samples=found.samples if found.samples.is_dir() else None,
            fetched=fetched,
        )


def _origin_of(pin: IstioctlPin) -> Origin:
    return Origin(source=pin.source, digest=pin.digest, manifest=pin.manifest)
