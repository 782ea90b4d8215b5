"""``nksmesh charts vendor`` and ``charts verify``: chart archives where there is no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock, public_ref, version_order
from nksmesh.domain.common.data import HIDDEN, MERGED
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.common.events import Listener, unheard
from nksmesh.domain.common.findings import Finding, Level, has_failure, warnings_of
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.engine.pipeline import chart_refs, resolve_mesh
from nksmesh.engine.ports import Archives, LockFile
from nksmesh.engine.request import MeshRequest

_SHOWN: Final = 5
_FETCH: Final = "Get it from a source you trust: nksmesh charts {command} {version} --charts {source}"


@dataclass(frozen=True, kw_only=True)
class VendoredChart:
    """An archive that was written.

    Attributes:
        pinned: charts.lock has that digest for the chart and version.
    """

    ref: ChartRef = field(metadata=MERGED)
    file: str
    digest: str
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class Vendored:
    """What ``charts vendor`` comes to."""

    folder: Path
    charts: tuple[VendoredChart, ...]


class ArchiveState(StrEnum):
    """How an archive stands to charts.lock."""

    VERIFIED = "verified"
    DIFFERS = "differs"
    MISSING = "missing"
    FOREIGN = "foreign"


@dataclass(frozen=True, kw_only=True)
class VerifiedArchive:
    """An archive, or a chart of the lock whose archive was looked for.

    Attributes:
        name: The chart and version; of a foreign archive, its file.
        found: The digest of the archive that is there; empty where there is none.
        pinned: The digests that the lock has for it.
        source: Where the lock says it comes from; empty for a foreign archive.
    """

    name: str
    state: ArchiveState
    found: str = ""
    pinned: tuple[str, ...] = ()
    source: str = ""
    version: str = field(default="", metadata=HIDDEN)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What ``charts verify`` comes to.

    Attributes:
        place: Where the archives are: a folder, or the cache.
        in_cache: It is the cache.
        unpinned: The charts that the lock names without a digest.
    """

    lock: Path
    place: Path
    archives: tuple[VerifiedArchive, ...]
    unpinned: tuple[str, ...] = ()
    in_cache: bool = field(default=False, metadata=HIDDEN)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with them, in their order, and then what cannot be verified."""
        command = "fetch" if self.in_cache else f"vendor {self.place}"
        return (*_judged(self.archives, self.place, self.lock, command), *_unpinned(self.unpinned, self.lock))

    @property
    def exit_code(self) -> int:
        """3 where an archive is not what the lock says."""
        return ChartError.exit_code if has_failure(self.findings) else 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the lock cannot say."""
        return warnings_of(self.findings)


async def vendor_charts(
    folder: Path,
    versions: Sequence[str] = (),
    *,
    request: MeshRequest | None = None,
    source: str = "",
    charts: Archives,
    locks: LockFile,
    locked: bool = False,
    listener: Listener = unheard,
) -> Vendored:
    """Write the archives of a mesh's charts, or of those in charts.lock, into a folder that ``--charts`` reads.

    Args:
        versions: Of the lock, these versions alone; all where empty.
        request: The mesh; None for the charts that the lock pins, or names where it pins none.
        source: Of the lock, the charts of this source alone; it may hold a password.
        locked: Refuse what the lock does not pin.

    Raises:
        ConfigError: There is nothing to write, or a chart is pinned to several archives; or the folder cannot be
            written.
        ChartError: An archive cannot be had, or is not what the lock says.
    """
    lock = locks.read()
    if request is None:
        wanted = _of_lock(lock, versions, source)
    else:
        wanted = list(chart_refs((await resolve_mesh(request, None)).resolved.mesh).values())
    files = {ref: _file(ref) for ref in sorted(wanted, key=_order)}
    archives = await charts.archives(files, lock=lock, locked=locked, listener=listener)
    written = charts.write_archives(folder, {files[ref]: content for ref, content in archives.items()})
    return Vendored(
        folder=folder,
        charts=tuple(
            VendoredChart(
                ref=public_ref(ref),
                file=file,
                digest=written[file],
                pinned=written[file] in lock.digests(ref.name, ref.version),
            )
            for ref, file in files.items()
        ),
    )


def verify_charts(versions: Sequence[str] = (), *, folder: str = "", charts: Archives, locks: LockFile) -> Verified:
    """Hold archives against charts.lock; nothing is fetched.

    Args:
        versions: These versions of the lock alone; all where empty.
        folder: A folder of archives; empty for the cache.

    Raises:
        ConfigError: The lock cannot be read, names none of the versions, or pins nothing of them.
        ChartError: The folder is not there, or cannot be read.
    """
    lock = locks.read()
    named = _named(lock, versions)
    pinned = [ref for ref in named if lock.digest(ref)]
    if not pinned:
        wanted = " ".join(versions) or "VERSION"
        raise ConfigError(
            f"{lock.file} pins no chart{f' of version {wanted}' if versions else ''}: there is nothing to verify",
            hint=f"Pin them first: nksmesh charts lock {wanted}",
        )
    place, there = charts.archives_in(folder) if folder else (charts.cache, {})
    archives: dict[str, VerifiedArchive] = {}
    for ref in pinned:
        digests = tuple(sorted(lock.digests(ref.name, ref.version))) if folder else (lock.digest(ref) or "",)
        found = there.get(_file(ref), "") if folder else charts.digest_in_cache(digests[0])
        archives.setdefault(_file(ref) if folder else f"{ref} {digests[0]}", _compared(ref, digests, found))
    unpinned = {str(ref): ref for ref in named if not lock.digests(ref.name, ref.version)}
    foreign = there.keys() - {_file(ref) for ref in lock.entries}
    return Verified(
        lock=locks.path,
        place=place,
        archives=(
            *archives.values(),
            *(VerifiedArchive(name=file, state=ArchiveState.FOREIGN, found=there[file]) for file in sorted(foreign)),
        ),
        unpinned=tuple(unpinned),
        in_cache=not folder,
    )


def _file(ref: ChartRef) -> str:
    """Name the archive of a chart, as Helm does."""
    return f"{ref.name}-{ref.version}.tgz"


def _compared(ref: ChartRef, pinned: tuple[str, ...], found: str) -> VerifiedArchive:
    """Compare an archive, of the cache or of a folder, with what the lock has."""
    state = ArchiveState.MISSING if not found else ArchiveState.VERIFIED if found in pinned else ArchiveState.DIFFERS
    return VerifiedArchive(
        name=str(ref), state=state, found=found, pinned=pinned, source=ref.source, version=ref.version
    )


def _judged(archives: Iterable[VerifiedArchive], place: Path, lock: Path, command: str) -> Iterator[Finding]:
    """Find what is wrong with archives.

    Args:
        command: Of ``nksmesh charts``, what brings an archive there.
    """
    for archive in archives:
        match archive.state:
            case ArchiveState.DIFFERS:
                yield Finding(
                    id="charts.other-archive",
                    subject=archive.name,
                    message=f"{archive.name} in {place} is not the archive that {lock} pins",
                    hint=_FETCH.format(command=command, version=archive.version, source=archive.source),
                    detail=f"in the lock: {', '.join(archive.pinned)}\nthe archive: {archive.found}",
                    error=ChartError,
                )
            case ArchiveState.MISSING:
                yield Finding(
                    id="charts.missing-archive",
                    subject=archive.name,
                    message=f"{archive.name} is not in {place}",
                    hint=_FETCH.format(command=command, version=archive.version, source=archive.source),
                    error=ChartError,
                )
            case ArchiveState.FOREIGN:
                yield Finding(
                    id="charts.foreign-archive",
                    subject=archive.name,
                    message=f"{archive.name} in {place} is not in {lock}",
                    hint="Remove it, or pin it with nksmesh charts lock.",
                    error=ChartError,
                )
            case ArchiveState.VERIFIED:
                pass


def _unpinned(charts: Sequence[str], lock: Path) -> Iterator[Finding]:
    if charts:
        have = "has" if len(charts) == 1 else "have"
        yield Finding(
            id="charts.unpinned",
            level=Level.WARNING,
            subject=str(lock),
            message=f"{counted(len(charts), 'chart')} of {lock} {have} no digest and cannot be verified: "
            f"{first_few(charts, _SHOWN)}",
            hint="Pin them with nksmesh charts lock VERSION.",
        )


def _of_lock(lock: Lock, versions: Sequence[str], source: str) -> list[ChartRef]:
    """List the charts of the lock that have a version and a source; the source is as it was given, a password too.

    Those that are pinned; all where none is.

    Raises:
        ConfigError: There is none, or it is pinned to several archives.
    """
    asked = public_ref(ChartRef(name="", version="", source=source)).source if source else ""
    listed = [ref for ref in _named(lock, versions) if not asked or ref.source == asked]
    wanted: dict[str, ChartRef] = {}
    for ref in [ref for ref in listed if lock.digest(ref)] or listed:
        chosen = wanted.setdefault(_file(ref), ref)
        if lock.digest(ref) != lock.digest(chosen):
            raise ConfigError(
                f"{lock.file} pins {ref} to several archives, from {chosen.source} and {ref.source}",
                hint="Name one of them with --charts SOURCE.",
            )
    if not wanted:
        raise ConfigError(
            f"{lock.file} has no chart from {asked}" if asked else f"{lock.file} names no chart",
            hint="Pin them first: nksmesh charts lock VERSION --charts SOURCE. For a mesh, pass -e ENVIRONMENT.",
        )
    return [ChartRef(name=ref.name, version=ref.version, source=source or ref.source) for ref in wanted.values()]


def _named(lock: Lock, versions: Sequence[str]) -> list[ChartRef]:
    """List the charts that the lock names, of some versions or of all.

    Raises:
        ConfigError: It names none of a version.
    """
    for version in versions:
        if not any(ref.version == version for ref in lock.entries):
            raise ConfigError(
                f"{lock.file} has no chart of version {version}", hint=f"Pin it first: nksmesh charts lock {version}"
            )
    return sorted((ref for ref in lock.entries if not versions or ref.version in versions), key=_order)


def _order(ref: ChartRef) -> tuple[tuple[tuple[int, ...], bool, str], str, str]:
    return version_order(ref.version), ref.name, ref.source
