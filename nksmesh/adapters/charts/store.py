"""Charts as they are asked for: from their source or the cache, checked against the lock, unpacked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from nksmesh.adapters.charts.archive import MIB, MOST_ARCHIVE, digest_of, digest_of_folder
from nksmesh.adapters.charts.cache import Cache, cache_folder
from nksmesh.adapters.charts.contents import Contents, Templates, about_chart, check_identity
from nksmesh.adapters.charts.sources import Bundled, Folder, Registry, Repository, source_named, unknown_version
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock, public_ref, public_source
from nksmesh.domain.common.errors import ChartError, ConfigError, MeshError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard

if TYPE_CHECKING:
    from nksmesh.adapters.charts.repository import Repositories
    from nksmesh.domain.images.mirroring import PackedChart

STEP = "charts"


class ChartStore:
    """Fetches charts.

    Args:
        cache: The cache's folder; by default NKSMESH_CACHE or the user's own.
        environ: The environment, for NKSMESH_CACHE and the bundles that SSL_CERT_FILE and its like name.
        helm: The Helm that pulls charts of a registry, as ``--helm`` names it; empty for the one that is found.
        offline: Fetch nothing from a repository: what is not in the cache, a folder or a registry cannot be had.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        helm: str = "",
        offline: bool = False,
    ) -> None:
        self._environ = environ
        self._helm = helm
        self._offline = offline
        self._cache = Cache(cache or cache_folder(environ))

    @property
    def cache(self) -> Path:
        """The folder that charts are kept in."""
        return self._cache.folder

    async def fetch(
        self,
        refs: Iterable[ChartRef],
        *,
        lock: Lock,
        locked: bool = False,
        fresh: bool = False,
        listener: Listener = unheard,
    ) -> dict[ChartRef, Chart]:
        """Fetch charts, all at once.

        A folder is always read. An archive of a repository comes from the cache where the lock's digest names it, or
        where the lock has no digest and the same chart, version and source was fetched before.

        Args:
            refs: What is wanted; a source may hold a user and password, a chart's own ``ref`` never does.
            lock: What each archive must be.
            locked: Refuse what the lock does not pin.
            fresh: Ask the source again for what the cache has.
            listener: Hears what is fetched from where.

        Raises:
            ChartError: A chart cannot be had, is not what the lock says, or may not be used.
            ConfigError: A source, a proxy or a bundle is not one.
        """
        wanted = sorted(set(refs))
        listener(Event(step=STEP, kind=EventKind.STARTED, message=", ".join(map(str, wanted))))
        async with AsyncExitStack() as stack:
            fetching = _Fetching(
                self._cache,
                lock,
                listener,
                stack,
                self._environ,
                self._helm,
                locked=locked,
                fresh=fresh,
                offline=self._offline,
            )
            ended = await asyncio.gather(*map(fetching.chart, wanted), return_exceptions=True)
        fetched = {ref: _chart_of(outcome) for ref, outcome in zip(wanted, ended, strict=True)}
        listener(Event(step=STEP, kind=EventKind.DONE))
        return fetched

    async def archives(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = unheard
    ) -> dict[ChartRef, bytes]:
        """Fetch charts, and return their archives.

        Raises:
            ChartError: As ``fetch`` says, or a chart is a folder, which has no archive.
            ConfigError: As ``fetch`` says.
        """
        fetched = await self.fetch(refs, lock=lock, locked=locked, listener=listener)
        lost = [ref for ref, chart in fetched.items() if not self._has_archive(ref, chart)]
        if lost:  # the cache has what they unpack to, and not the archives
            fetched |= await self.fetch(lost, lock=lock, locked=locked, fresh=True, listener=listener)
        return {ref: (await asyncio.to_thread(self.packed, chart)).archive for ref, chart in fetched.items()}

    def archives_in(self, folder: str) -> tuple[Path, dict[str, str]]:
        """Return a folder, and the digest of each archive in it by its file's name.

        Raises:
            ChartError: It is not there, or cannot be read.
            ConfigError: It is not a folder's path.
        """
        source = source_named(folder)
        if not isinstance(source, Folder):
            raise ConfigError(
                f"--charts {public_source(folder)}: it is not a folder",
                hint="charts verify works without a network: pass a folder of archives, or leave --charts out.",
            )
        try:
            return source.path, source.digests()
        except OSError as error:
            raise _unreadable(f"{error.filename}", error) from error

    def digest_in_cache(self, digest: str) -> str:
        """Return the digest of the archive that the cache has under a digest; empty where it has none."""
        return self._cache.digest_kept(digest)

    def write_archives(self, folder: Path, archives: Mapping[str, bytes]) -> dict[str, str]:
        """Write archives into a folder, each whole or not at all, and return their digests.

        Raises:
            ConfigError: The folder cannot be written.
        """
        try:
            Folder(folder).write(archives)
        except OSError as error:
            raise ConfigError(
                f"{folder} cannot be written: {error.strerror or error}", hint="Pass a folder that you can write to."
            ) from error
        return {name: digest_of(content) for name, content in archives.items()}

    def _has_archive(self, ref: ChartRef, chart: Chart) -> bool:
        return isinstance(source_named(ref.source), Folder) or self._cache.archive(chart.digest) is not None

    def cached(self, ref: ChartRef, lock: Lock) -> bool:
        """Whether a fetch of this chart would need no network."""
        try:
            source = source_named(ref.source)
        except MeshError:
            return False
        if isinstance(source, Folder):
            return source.archive_of(ref) is not None
        digest = lock.digest(ref) or self._cache.digest_known(ref)
        return digest is not None and (self._cache.unpacked(digest) or self._cache.archive(digest)) is not None

    def keep(self, ref: ChartRef, archive: bytes, digest: str, *, known: bool) -> None:
        """Keep an archive under its digest.

        Args:
            known: Remember it as what its source has, too.

        Raises:
            ChartError: It is not the chart that it is called, has another digest, or the cache cannot be written.
        """
        title = f"chart {ref} from {public_source(ref.source)}"
        if digest_of(archive) != digest:
            raise ChartError(f"{title} has another digest than {digest}", hint="Get it again from where it came.")
        _, contents = self._cache.unpacked(digest) or self._cache.unpack(archive, digest, title=title)
        check_identity(contents, ref, title=title)
        self._cache.keep_archive(archive, digest)
        if known:
            self._cache.keep_known(ref, digest)

    def packed(self, chart: Chart) -> PackedChart:
        """Read the archive of a chart that was fetched, as an OCI registry takes it.

        Raises:
            ChartError: It is a folder, or its archive is not what it was.
        """
        from nksmesh.domain.images.mirroring import PackedChart  # noqa: PLC0415 - for those alone who copy charts

        source = source_named(chart.ref.source)
        path = source.archive_of(chart.ref) if isinstance(source, Folder) else None
        try:
            archive = path.read_bytes() if path else self._cache.archive(chart.digest)
        except OSError:
            archive = None
        if archive is None or digest_of(archive) != chart.digest:
            raise ChartError(
                f"chart {chart.ref} in {public_source(chart.ref.source)} has no archive that can be copied",
                hint="Pack it with `helm package`, and pass the archive's folder with --charts.",
            )
        about = about_chart(chart.folder, title=f"chart {chart.ref}")
        return PackedChart(name=chart.ref.name, version=chart.ref.version, about=about, archive=archive)


class _Fetching:
    """One fetch: its lock, and the connections its charts share."""

    def __init__(
        self,
        cache: Cache,
        lock: Lock,
        listener: Listener,
        stack: AsyncExitStack,
        environ: Mapping[str, str],
        helm: str,
        *,
        locked: bool,
        fresh: bool,
        offline: bool,
    ) -> None:
        self._cache = cache
        self._offline = offline
        self._lock = lock
        self._locked = locked
        self._fresh = fresh
        self._helm = helm
        self._listener = listener
        self._stack = stack
        self._environ = environ
        self._opened: Repositories | None = None

    async def chart(self, ref: ChartRef) -> Chart:
        source = source_named(ref.source)
        if isinstance(source, Folder):
            return await asyncio.to_thread(self._from_folder, ref, source)
        if self._locked:
            self._lock.require(ref)
        kept = None if self._fresh else await asyncio.to_thread(self._from_cache, ref)
        if kept:
            return kept
        if isinstance(source, Bundled):
            raise ChartError(
                f"chart {ref} came in a bundle, and is not in the cache",
                hint="Pass the bundle with --bundle, or another source with --charts.",
            )
        self._listener(Event(step=STEP, kind=EventKind.WAITING, message=f"{ref} from {public_source(ref.source)}"))
        if isinstance(source, Registry):
            return await self._from_registry(ref, source)
        return await self._from_repository(ref, source)

    def _from_folder(self, ref: ChartRef, folder: Folder) -> Chart:
        try:
            path = folder.archive_of(ref)
            if path is None:
                return self._unpacked(ref, folder)
            if path.stat().st_size > MOST_ARCHIVE:
                raise _too_large(str(path))
            content = path.read_bytes()
        except OSError as error:
            raise _unreadable(f"chart {ref} in {public_source(ref.source)}", error) from error
        if self._locked:
            self._lock.require(ref, digest_of(content))
        return self._checked(ref, content, title=str(path))

    def _unpacked(self, ref: ChartRef, folder: Folder) -> Chart:
        versions: list[str] = []
        for path in folder.unpacked(ref):
            digest = digest_of_folder(path)
            contents = self._cache.contents_of_folder(path, digest, title=str(path))
            if (contents.name, contents.version) != (ref.name, ref.version):
                versions.append(contents.version)
                continue
            if self._locked:
                raise ChartError(
                    f"chart {ref} in {public_source(ref.source)} is a folder, which charts.lock cannot pin",
                    hint="Pack it with `helm package`, or leave out --locked.",
                )
            return _chart(ref, path.absolute(), digest, contents, from_archive=False)
        raise unknown_version(ref, [*folder.versions(ref.name), *versions])

    def _from_cache(self, ref: ChartRef) -> Chart | None:
        digest = self._lock.digest(ref) or self._cache.digest_known(ref)
        if digest is None:
            return None
        found = self._cache.unpacked(digest)
        if found is None:
            content = self._cache.archive(digest)
            if content is None:
                return None
            found = self._cache.unpack(content, digest, title=f"chart {ref} in the cache")
        folder, contents = found
        check_identity(contents, ref, title=f"the archive {digest}")
        return _chart(ref, folder, digest, contents, manifest=self._cache.manifest_known(ref, digest))

    async def _from_registry(self, ref: ChartRef, source: Registry) -> Chart:
        from nksmesh.adapters.charts.oci import pull  # noqa: PLC0415 - semver, where no registry has charts

        pulled = await pull(ref, source, helm=self._helm)
        return await asyncio.to_thread(self._keep, ref, pulled.archive, pulled.manifest)

    async def _from_repository(self, ref: ChartRef, source: Repository) -> Chart:
        if self._offline:
            raise ChartError(
                f"chart {ref} from {public_source(ref.source)} is not in the cache, and --offline fetches nothing",
                hint="Install from a bundle with --bundle, or pass a folder of charts with --charts.",
            )
        if self._opened is None:
            from nksmesh.adapters.charts.repository import Repositories  # noqa: PLC0415 - 120 ms with httpx, where all is cached

            self._opened = Repositories(self._environ)
            self._stack.push_async_callback(self._opened.close)
        content = await self._opened.archive(ref, source)
        return await asyncio.to_thread(self._keep, ref, content)

    def _keep(self, ref: ChartRef, content: bytes, manifest: str = "") -> Chart:
        chart = self._checked(ref, content, manifest, title=f"chart {ref} from {public_source(ref.source)}")
        self._cache.keep_archive(content, chart.digest)
        self._cache.keep_known(ref, chart.digest, manifest)
        return chart

    def _checked(self, ref: ChartRef, content: bytes, manifest: str = "", *, title: str) -> Chart:
        digest = digest_of(content)
        self._lock.check(ref, digest, manifest)
        folder, contents = self._cache.unpacked(digest) or self._cache.unpack(content, digest, title=title)
        check_identity(contents, ref, title=title)
        return _chart(ref, folder, digest, contents, manifest=manifest)


def _chart(
    ref: ChartRef, folder: Path, digest: str, contents: Contents, *, manifest: str = "", from_archive: bool = True
) -> Chart:
    return Chart(
        ref=public_ref(ref),
        folder=folder,
        digest=digest,
        app_version=contents.app_version,
        defaults=contents.defaults,
        crds=tuple(contents.crds),
        templates=Templates(folder, title=f"chart {ref}"),
        manifest=manifest,
        from_archive=from_archive,
    )


def _unreadable(title: str, error: OSError) -> ChartError:
    return ChartError(
        f"{title} cannot be read: {error.strerror or error}",
        hint="Make the folder readable, or pass another source with --charts.",
    )


def _too_large(title: str) -> ChartError:
    return ChartError(
        f"{title} is larger than {MOST_ARCHIVE // MIB} MiB, the limit for a chart",
        hint="Pass another source with --charts.",
    )


def _chart_of(ended: Chart | BaseException) -> Chart:
    """Return what a fetch came to; of several failures the first in the charts' order is raised, whoever was faster."""
    if isinstance(ended, BaseException):
        raise ended
    return ended
