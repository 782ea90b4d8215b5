"""``nksmesh charts``: fetch, lock, list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.charts.chart import OFFICIAL_SOURCE, Chart, ChartRef
from nksmesh.domain.charts.lock import Lock, public_ref, version_order
from nksmesh.domain.charts.releases import ALWAYS, COMPONENTS
from nksmesh.domain.common.data import MERGED, fields_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.engine.ports import Archives, Charts, LockFile

STEP: Final = "charts"


@dataclass(frozen=True, kw_only=True)
class ChartRow:
    """A chart as ``charts`` reports it.

    Attributes:
        ref: The chart, its source as it may be shown.
        digest: ``sha256:<hex>``, or None where nobody knows it yet.
        pinned: The lock has that digest.
        cached: It is there without network.
        manifest: The digest of its manifest, where it came from a registry; empty where that is not known.
        folder: Where it is unpacked, where it was fetched.
    """

    ref: ChartRef = field(metadata=MERGED)
    digest: str | None
    pinned: bool
    cached: bool
    manifest: str = ""
    folder: Path | None = None

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the chart in parts, the manifest where it has one, the folder where it was fetched."""
        return {key: part for key, part in fields_of(self).items() if key not in {"folder", "manifest"} or part}


@dataclass(frozen=True, kw_only=True)
class ChartRows:
    """What ``charts fetch`` and ``charts list`` come to.

    Attributes:
        lock: The charts.lock they were held against.
    """

    lock: Path
    charts: tuple[ChartRow, ...]


@dataclass(frozen=True, kw_only=True)
class Locked:
    """What ``charts lock`` comes to.

    Attributes:
        added: Of how many charts it has digests that it had not before; 0 where nothing was written.
        renewed: The digest before of each chart whose pin was renewed, by chart and version.
    """

    lock: Path
    added: int
    renewed: Mapping[str, str] = field(default_factory=dict)
    charts: tuple[ChartRow, ...]


async def fetch_charts(
    versions: Sequence[str],
    *,
    source: str = OFFICIAL_SOURCE,
    charts: Charts,
    locks: LockFile,
    locked: bool = False,
    components: Sequence[str] = (),
    listener: Listener = unheard,
) -> ChartRows:
    """Fetch the charts of the components that every mesh has into the cache, and those of others on request.

    Args:
        locks: The charts.lock that archives are held against.
        locked: Refuse what the lock does not pin.
        components: Further components, of which a mesh may have none: cni, ztunnel.

    Raises:
        ConfigError: No version was named, a component is none, or the lock cannot be read.
        ChartError: A chart cannot be had, or is not what the lock says.
    """
    if not versions:
        raise ConfigError("no version to fetch", hint="Pass one or more, for example: nksmesh charts fetch 1.20.0")
    wanted = _charts_of(versions, source, _known(components))
    lock = locks.read()
    fetched = await charts.fetch(wanted, lock=lock, locked=locked, listener=listener)
    return ChartRows(charts=_rows(fetched, lock), lock=locks.path)


async def lock_charts(
    versions: Sequence[str] = (),
    *,
    source: str | None = None,
    charts: Archives,
    locks: LockFile,
    components: Sequence[str] = (),
    upgrade: bool = False,
    listener: Listener = unheard,
) -> Locked:
    """Pin the archives of some versions in charts.lock; of everything it names, where no version is given.

    Args:
        source: Where to fetch from; by default the official repository, or what the lock's entries say.
        locks: The charts.lock to read and write.
        components: Components to pin at these versions, beside those that the lock names or every mesh has.
        upgrade: Fetch the charts again, and pin what their sources have now in the place of what is pinned.

    Raises:
        ConfigError: There is nothing to pin, a component is none, or the lock cannot be read or written.
        ChartError: A chart cannot be had, or is pinned to another archive.
    """
    more = _known(components)
    lock = locks.read()
    wanted = _to_pin(lock, versions, source, more)
    fetched = await charts.fetch(wanted, lock=Lock() if upgrade else lock, fresh=upgrade, listener=listener)
    pinned = lock.without(ref for ref, chart in fetched.items() if chart.from_archive) if upgrade else lock
    for ref, chart in fetched.items():
        if chart.from_archive:
            pinned = pinned.pin(ref, chart.digest, chart.manifest)
        else:
            listener(
                Event(step=STEP, kind=EventKind.WARNING, message=f"{ref} is a folder, not an archive: nothing to pin")
            )
    if pinned != lock:
        locks.write(pinned)
    changed = [ref for ref in fetched if pinned.pins(ref) != lock.pins(ref)]
    renewed = {str(ref): old for ref in changed for old in lock.pins(ref) if old and old not in pinned.pins(ref)}
    return Locked(charts=_rows(fetched, pinned), lock=locks.path, added=len(changed), renewed=renewed)


def list_charts(*, charts: Charts, locks: LockFile) -> ChartRows:
    """What charts.lock names, and what of it is in the cache.

    Raises:
        ConfigError: The lock cannot be read.
    """
    lock = locks.read()
    rows = (
        ChartRow(
            ref=ref,
            digest=digest,
            pinned=digest is not None,
            cached=charts.cached(ref, lock),
            manifest=lock.pins(ref)[1],
        )
        for ref, digest in lock.entries.items()
    )
    return ChartRows(charts=tuple(sorted(rows, key=_order)), lock=locks.path)


def _to_pin(lock: Lock, versions: Sequence[str], source: str | None, more: Sequence[str]) -> list[ChartRef]:
    chosen = ChartRef(name="", version="", source=source or OFFICIAL_SOURCE)
    shown = public_ref(chosen).source
    # An entry of the same source takes the source as it was given, for that may hold a user and password.
    named = [
        ChartRef(name=ref.name, version=ref.version, source=chosen.source if ref.source == shown else ref.source)
        for ref in lock.entries
        if (source is None or ref.source == shown) and (not versions or ref.version in versions)
    ]
    # A lock that knows a version from a mirror is not given the official repository's charts unasked.
    unnamed = [
        version for version in versions if source is not None or not any(ref.version == version for ref in named)
    ]
    wanted = {*named, *_charts_of(unnamed, chosen.source, more)}
    wanted.update(replace(ref, name=name) for ref in named for name in more)
    if not wanted:
        raise ConfigError(
            f"{lock.file} has no chart from {shown}",
            hint="Pass the versions: nksmesh charts lock 1.20.0 --charts ...",
        )
    return sorted(wanted)


def _charts_of(versions: Sequence[str], source: str, more: Sequence[str]) -> list[ChartRef]:
    """Name the charts that every mesh takes at some versions, and those of more components."""
    names = dict.fromkeys((*ALWAYS, *more))
    return [
        ChartRef(name=name, version=version, source=source) for version in dict.fromkeys(versions) for name in names
    ]


def _known(components: Sequence[str]) -> Sequence[str]:
    """Return the names of components.

    Raises:
        ConfigError: One is not the name of a component.
    """
    unknown = [name for name in components if name not in COMPONENTS]
    if unknown:
        raise ConfigError(
            f"--component {unknown[0]}: there is no such component", hint=f"The components are {', '.join(COMPONENTS)}."
        )
    return components


def _rows(fetched: Mapping[ChartRef, Chart], lock: Lock) -> tuple[ChartRow, ...]:
    rows = (
        ChartRow(
            ref=chart.ref,
            digest=chart.digest,
            pinned=lock.digest(chart.ref) == chart.digest,
            cached=True,
            manifest=chart.manifest,
            folder=chart.folder,
        )
        for chart in fetched.values()
    )
    return tuple(sorted(rows, key=_order))


def _order(row: ChartRow) -> tuple[str, tuple[tuple[int, ...], bool, str], str]:
    return row.ref.source, version_order(row.ref.version), row.ref.name
