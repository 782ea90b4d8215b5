"""charts.lock: which archive each chart, version and source is known to be, and each istioctl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.istioctl.archive import IstioctlArchive
from nksmesh.domain.istioctl.pins import IstioctlPin

LOCK_NAME: Final = "charts.lock"
MARKER: Final = "nksmesh"
"""The key that says a charts.lock is one of ours; its value is the format's version."""
FORMAT: Final = 1

Where: TypeAlias = tuple[str | int, ...]
"""A place in the file: the keys and indexes that lead to it."""

_CHART: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_VERSION: Final = re.compile(r"v?\d+(\.\d+){0,2}([-+][0-9A-Za-z.+-]*[0-9A-Za-z])?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PLAIN: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*|\d+\.\d+\.\d+|https?://[A-Za-z0-9._/-]+")
_YAML_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_KEYS: Final = ("chart", "version", "source", "sha256", "manifest")
_ISTIOCTL_KEYS: Final = ("version", "platform", "source", "sha256", "manifest")
_PLATFORM: Final = re.compile(r"linux-(amd64|arm64)")

_HEADER: Final = """\
# The charts nksmesh may install: for each chart, version and source the sha256 of its archive.
# An archive that differs from its entry is refused. An entry without sha256 is not pinned yet: the archive
# was not at hand to learn it from, and a digest must not be invented. `nksmesh charts lock` fetches and pins.
"""
_ISTIOCTL_NOTE: Final = "# istioctl: for each version, platform and source the sha256 of Istio's release archive.\n"
_MANIFEST_NOTE: Final = "# manifest: the sha256 of a chart's manifest in its registry; another one is refused, too.\n"


def public_source(source: str) -> str:
    """A source as it may be shown and stored: no user, password, query or trailing slash."""
    if "://" not in source:
        return source.rstrip("/") or source
    try:
        parts = urlsplit(source)
    except ValueError:
        # Not a URL at all; what follows the last @ cannot be a password.
        scheme, _, rest = source.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}".rstrip("/")
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    # urlunsplit leaves out the // of a file URL's empty host on some versions of Python.
    return (bare.rstrip("/") if parts.path.strip("/") else bare.removesuffix("/")) or source


def public_ref(ref: ChartRef) -> ChartRef:
    """The same chart with its source as it may be shown and stored; the lock's key."""
    return replace(ref, source=public_source(ref.source))


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What charts.lock says.

    Attributes:
        entries: For each chart, version and source its archive's digest, ``sha256:<hex>``, or None: not pinned yet.
        manifests: For each chart of a registry that is pinned so, the digest of its manifest, ``sha256:<hex>``.
        file: The file it was read from, for error messages.
        istioctl: The archives of istioctl that are pinned.
    """

    entries: Mapping[ChartRef, str | None] = field(default_factory=dict)
    manifests: Mapping[ChartRef, str] = field(default_factory=dict)
    file: str = LOCK_NAME
    istioctl: tuple[IstioctlPin, ...] = ()

    def digest(self, ref: ChartRef) -> str | None:
        """The digest the lock has for a chart; None where it is not pinned, or not in the lock."""
        return self.entries.get(public_ref(ref))

    def pins(self, ref: ChartRef) -> tuple[str, str]:
        """The digests of a chart's archive and of its manifest; each empty where it is not pinned."""
        return self.digest(ref) or "", self.manifests.get(public_ref(ref), "")

    def check(self, ref: ChartRef, digest: str, manifest: str = "") -> None:
        """Compare an archive with its entry.

        Args:
            manifest: The digest of its manifest, where it came from a registry; empty where that is not known.

        Raises:
            ChartError: The entry is pinned to another digest.
        """
        for what, pinned, found in zip(("archive", "manifest"), self.pins(ref), (digest, manifest), strict=True):
            if pinned and found and pinned != found:
                raise ChartError(
                    f"chart {ref} from {public_source(ref.source)} is not the {what} that {self.file} pins",
                    hint="Find out why it changed. If the new one is correct, run nksmesh charts lock --upgrade "
                    f"{ref.version} --charts {public_source(ref.source)}",
                    detail=f"in the lock: {pinned}\nthe {what}: {found}",
                )

    def require(self, ref: ChartRef, digest: str = "") -> None:
        """Refuse a chart that is not pinned: what ``--locked`` means.

        Args:
            digest: Its archive's, where that is known: the same archive may be pinned for another source.

        Raises:
            ChartError: The lock has no digest for it.
        """
        if self.digest(ref) is None and digest not in self.digests(ref.name, ref.version):
            raise ChartError(
                f"chart {ref} from {public_source(ref.source)} is not pinned in {self.file}, and --locked requires it",
                hint=f"Run `nksmesh charts lock {ref.version} --charts {public_source(ref.source)}` "
                "to pin it, or leave out --locked.",
            )

    def digests(self, name: str, version: str) -> frozenset[str]:
        """The digests that the lock has for a chart and version, whatever their source."""
        known = (digest for ref, digest in self.entries.items() if (ref.name, ref.version) == (name, version))
        return frozenset(digest for digest in known if digest)

    def pin(self, ref: ChartRef, digest: str, manifest: str = "") -> Lock:
        """The lock with this archive's digest, and that of its manifest where it has one.

        Raises:
            ChartError: It is pinned to another digest already.
            ConfigError: The chart cannot be written into a lock.
        """
        self.check(ref, digest, manifest)
        key = public_ref(ref)
        entry = {
            "chart": key.name,
            "version": key.version,
            "source": key.source,
            "sha256": digest.removeprefix("sha256:"),
        }
        known, pinned, _ = _Reading(self.file, {}).entry(0, entry)
        manifests = {**self.manifests, known: manifest} if manifest else self.manifests
        return replace(self, entries={**self.entries, known: pinned}, manifests=manifests)

    def without(self, refs: Iterable[ChartRef]) -> Lock:
        """The lock with what it pins of some charts forgotten; that it names them stays."""
        gone = {public_ref(ref) for ref in refs}
        return replace(
            self,
            entries={ref: None if ref in gone else digest for ref, digest in self.entries.items()},
            manifests={ref: digest for ref, digest in self.manifests.items() if ref not in gone},
        )

    def text(self) -> str:
        """The lock as a file: the same entries always give the same text."""
        note = (_MANIFEST_NOTE if self.manifests else "") + (_ISTIOCTL_NOTE if self.istioctl else "")
        lines = [f"{_HEADER}{note}{MARKER}: {FORMAT}", "charts:" if self.entries else "charts: []"]
        for ref in sorted(self.entries, key=_order):
            digest = self.entries[ref]
            lines += [f"  - chart: {_scalar(ref.name)}", f"    version: {_scalar(ref.version)}"]
            lines += [f"    source: {_scalar(ref.source)}"]
            if digest is not None:
                lines += [f'    sha256: "{digest.removeprefix("sha256:")}"']
            if manifest := self.manifests.get(ref):
                lines += [f'    manifest: "{manifest.removeprefix("sha256:")}"']
        lines += ["istioctl:"] if self.istioctl else []
        for pin in self.istioctl:
            lines += [f"  - version: {_scalar(pin.archive.version)}", f"    platform: {pin.archive.platform}"]
            lines += [f"    source: {_scalar(pin.source)}", f'    sha256: "{pin.digest.removeprefix("sha256:")}"']
            lines += [f'    manifest: "{pin.manifest.removeprefix("sha256:")}"'] if pin.manifest else []
        return "\n".join(lines) + "\n"


def parse_lock(data: Any, *, file: str = LOCK_NAME, lines: Mapping[Where, int] | None = None) -> Lock:
    """Read a lock from YAML that is loaded already.

    Args:
        file: The file's name, for errors.
        lines: The line each place of the document stands on, where that is known.

    Raises:
        ConfigError: It is not a lock of ours; the message names file, line and key.
    """
    reading = _Reading(file, lines or {})
    if not isinstance(data, dict) or MARKER not in data:
        raise reading.error((), f"is not a charts.lock of nksmesh: it has no `{MARKER}: {FORMAT}`")
    if data[MARKER] != FORMAT or isinstance(data[MARKER], bool):
        raise reading.error((MARKER,), f"has format {data[MARKER]!r}; this nksmesh reads format {FORMAT}")
    reading.known((), data, (MARKER, "charts", "istioctl"))
    charts = data.get("charts")
    if not isinstance(charts, list):
        raise reading.error(("charts",), "needs `charts`, a list")
    entries: dict[ChartRef, str | None] = {}
    manifests: dict[ChartRef, str] = {}
    for index, item in enumerate(charts):
        ref, digest, manifest = reading.entry(index, item)
        if ref in entries:
            raise reading.error(("charts", index), f"names {ref} from {ref.source} twice")
        entries[ref] = digest
        if manifest:
            manifests[ref] = manifest
    return Lock(entries=entries, manifests=manifests, file=file, istioctl=reading.istioctl(data.get("istioctl", [])))


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """What versions are sorted by: numbers as numbers, a pre-release before its release."""
    core, _, rest = version.lstrip("v").partition("-")
    numbers = tuple(int(part) for part in core.partition("+")[0].split(".") if part.isdecimal())
    return numbers, not rest, rest


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions in order, the newest first."""
    return sorted(set(versions), key=version_order, reverse=True)


@dataclass(frozen=True)
class _Reading:
    file: str
    lines: Mapping[Where, int]

    def error(self, where: Where, problem: str) -> ConfigError:
        line = self.lines.get(where)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
        place = f"{self.file}, line {line}" if line else self.file
        return ConfigError(
            f"{place}: {f'{key} ' if key else ''}{problem}",
            hint="Correct the file, or run `nksmesh charts lock` to write a new one.",
        )

    def known(self, where: Where, data: Mapping[Any, Any], keys: tuple[str, ...]) -> None:
        for key in data:
            if key not in keys:
                place = (*where, key) if isinstance(key, str | int) else where
                raise self.error(place, f"is not a key of charts.lock; the valid keys are {', '.join(keys)}")

    def entry(self, index: int, item: Any) -> tuple[ChartRef, str | None, str | None]:
        where: Where = ("charts", index)
        source, version = self.source_and_version(where, item, _KEYS)
        name = self.string((*where, "chart"), item)
        if not _CHART.fullmatch(name):
            raise self.error((*where, "chart"), f"is {name!r}, which is not a chart's name")
        ref = ChartRef(name=name, version=version, source=source)
        return ref, self.digest((*where, "sha256"), item), self.digest((*where, "manifest"), item)

    def istioctl(self, listed: Any) -> tuple[IstioctlPin, ...]:
        if not isinstance(listed, list):
            raise self.error(("istioctl",), "is not a list")
        pins: dict[tuple[str, str, str], IstioctlPin] = {}
        for index, item in enumerate(listed):
            where: Where = ("istioctl", index)
            source, version = self.source_and_version(where, item, _ISTIOCTL_KEYS)
            platform = self.string((*where, "platform"), item)
            if not _PLATFORM.fullmatch(platform):
                raise self.error((*where, "platform"), f"is {platform!r}, which is not linux-amd64 or linux-arm64")
            digest = self.digest((*where, "sha256"), item)
            if digest is None:
                raise self.error(where, "has no `sha256`")
            pin = IstioctlPin(
                archive=IstioctlArchive(version=version, platform=platform),
                source=source,
                digest=digest,
                manifest=self.digest((*where, "manifest"), item) or "",
            )
            if pin.key in pins:
                raise self.error(where, f"names {pin.archive.name} from {source} twice")
            pins[pin.key] = pin
        return tuple(sorted(pins.values()))

    def source_and_version(self, where: Where, item: Any, keys: tuple[str, ...]) -> tuple[str, str]:
        if not isinstance(item, dict):
            raise self.error(where, f"is not a mapping of {', '.join(keys)}")
        self.known(where, item, keys)
        source = self.string((*where, "source"), item)
        if source != public_source(source):
            raise self.error((*where, "source"), "contains a user, password, query or trailing slash: remove it")
        if not source.isprintable():
            raise self.error((*where, "source"), "contains characters that cannot be displayed")
        version = self.string((*where, "version"), item)
        if not _VERSION.fullmatch(version):
            raise self.error((*where, "version"), f"is {version!r}, which is not a version")
        return source, version

    def digest(self, where: Where, item: Mapping[Any, Any]) -> str | None:
        if where[-1] not in item:
            return None
        digits = self.string(where, item)
        if not _SHA256.fullmatch(digits):
            raise self.error(where, f"is {digits!r}, which is not 64 lower-case hexadecimal digits")
        return f"sha256:{digits}"

    def string(self, where: Where, item: Mapping[Any, Any]) -> str:
        if where[-1] not in item:
            raise self.error(where[:-1], f"has no `{where[-1]}`")
        value = item[where[-1]]
        if not isinstance(value, str) or not value:
            raise self.error(where, f"must be a non-empty string, not {type(value).__name__}: write it in quotes")
        return value


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _order(ref: ChartRef) -> tuple[str, tuple[tuple[int, ...], bool, str], str, str]:
    return ref.source, version_order(ref.version), ref.version, ref.name
