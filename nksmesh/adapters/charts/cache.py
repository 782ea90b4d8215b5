"""The cache of charts: archives and what they unpack to, each under its digest.

::

    charts/<sha256>.tgz            an archive that was downloaded
    charts/<sha256>/chart/         what it unpacks to
    charts/<sha256>/parsed.json    its files parsed, and the digest of the folder beside it
    charts/folder-<sha256>.json    the parsed files of a folder that is read where it is
    charts/known/<key>.json        which digest a chart, version and source had

Everything appears by a rename, so that two runs at once never see half of anything, and everything is checked
when it is read: what is damaged counts as absent.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from nksmesh.adapters.charts.archive import digest_of, digest_of_folder, unpack
from nksmesh.adapters.charts.contents import Contents, read_contents
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import public_ref
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.paths import at_home

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The folder nksmesh keeps its cache in: NKSMESH_CACHE, or the user's own."""
    if environ.get("NKSMESH_CACHE"):
        return at_home(environ["NKSMESH_CACHE"]).absolute()
    return user_cache_path("nksmesh")


class Cache:
    """Charts that were fetched before.

    Args:
        folder: The cache's own folder; made when something is first put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "charts"

    def archive(self, digest: str) -> bytes | None:
        """An archive by its digest; None where it is not there, or damaged."""
        try:
            content = self._archive_path(digest).read_bytes()
        except OSError:
            return None
        return content if digest_of(content) == digest else None

    def digest_kept(self, digest: str) -> str:
        """The digest of the archive that is kept under a digest, which is another where it is damaged; or empty."""
        try:
            return digest_of(self._archive_path(digest).read_bytes())
        except OSError:
            return ""

    def keep_archive(self, content: bytes, digest: str) -> None:
        """Put an archive into the cache.

        Raises:
            ChartError: The cache cannot be written.
        """
        if self.archive(digest) is None:
            self._write(self._archive_path(digest), content)

    def digest_known(self, ref: ChartRef) -> str | None:
        """The digest this chart had when it last came from this source."""
        return self._known(ref, "digest") or None

    def manifest_known(self, ref: ChartRef, digest: str) -> str:
        """The digest of the manifest that an archive had in its registry; empty where that is not known."""
        return self._known(ref, "manifest") if self._known(ref, "digest") == digest else ""

    def _known(self, ref: ChartRef, part: str) -> str:
        try:
            entry = json.loads(self._known_path(ref).read_bytes())
        except (OSError, ValueError):
            return ""
        found = entry.get(part) if isinstance(entry, dict) and entry.get("key") == _key(ref) else None
        return found if isinstance(found, str) else ""

    def keep_known(self, ref: ChartRef, digest: str, manifest: str = "") -> None:
        """Remember which digest a chart, version and source had, and its manifest where it has one.

        Raises:
            ChartError: The cache cannot be written.
        """
        if (self.digest_known(ref), self.manifest_known(ref, digest)) != (digest, manifest):
            known = {"key": _key(ref), "digest": digest, "manifest": manifest}
            self._write(self._known_path(ref), json.dumps(known).encode())

    def unpacked(self, digest: str) -> tuple[Path, Contents] | None:
        """The folder an archive was unpacked to, and its contents; None where it is not there, or damaged."""
        entry = self._unpacked_path(digest)
        try:
            parsed = _sealed((entry / "parsed.json").read_bytes())
            folder = entry / "chart"
            if parsed is None or digest_of_folder(folder) != parsed[0]:
                return None
            return folder, Contents.from_json(parsed[1])
        except (OSError, ValueError, TypeError):
            return None

    def unpack(self, content: bytes, digest: str, *, title: str) -> tuple[Path, Contents]:
        """Unpack an archive into the cache.

        Raises:
            ChartError: The archive is not a chart's, or the cache cannot be written.
        """
        with self._writing(), self._temporary() as temporary:
            fresh = temporary / "entry"
            (fresh / "chart").mkdir(parents=True)
            unpack(BytesIO(content), fresh / "chart", title=title)
            contents = read_contents(fresh / "chart", title=title)
            seal = _seal(digest_of_folder(fresh / "chart"), contents.to_json())
            (fresh / "parsed.json").write_bytes(seal)
            self._publish(fresh, digest, temporary / "damaged")
        return self._unpacked_path(digest) / "chart", contents

    def contents_of_folder(self, folder: Path, digest: str, *, title: str) -> Contents:
        """The contents of a chart's folder that is read where it is.

        Raises:
            ChartError: A file of it is not what a chart's file must be.
            OSError: A file of it cannot be read.
        """
        path = self.folder / f"folder-{_hex(digest)}.json"
        with contextlib.suppress(OSError, ValueError, TypeError):
            parsed = _sealed(path.read_bytes())
            if parsed is not None:
                return Contents.from_json(parsed[1])
        contents = read_contents(folder, title=title)
        # Without a cache this chart is as good, only slower to read the next time.
        with contextlib.suppress(ChartError):
            self._write(path, _seal(digest, contents.to_json()))
        return contents

    def _publish(self, fresh: Path, digest: str, aside: Path) -> None:
        target = self._unpacked_path(digest)
        for _ in range(3):
            try:
                fresh.rename(target)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                if self.unpacked(digest):
                    return
                with contextlib.suppress(FileNotFoundError):
                    target.rename(aside)
            else:
                return

    def _write(self, path: Path, content: bytes) -> None:
        with self._writing(), self._temporary() as temporary:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = temporary / "fresh"
            fresh.write_bytes(content)
            fresh.replace(path)

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".fresh-", dir=self.folder))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            hint = "Set NKSMESH_CACHE to a folder that can be written."
            if error.errno in _FULL:
                hint = "Free some space, or set NKSMESH_CACHE to a folder on another disk."
            raise ChartError(f"the chart cache {self.folder} cannot be written: {reason}", hint=hint) from error

    def _archive_path(self, digest: str) -> Path:
        return self.folder / f"{_hex(digest)}.tgz"

    def _unpacked_path(self, digest: str) -> Path:
        return self.folder / _hex(digest)

    def _known_path(self, ref: ChartRef) -> Path:
        return self.folder / "known" / f"{hashlib.sha256(json.dumps(_key(ref)).encode()).hexdigest()}.json"


def _key(ref: ChartRef) -> list[str]:
    key = public_ref(ref)
    return [key.source, key.name, key.version]


def _hex(digest: str) -> str:
    """Return what a digest is called in the cache.

    Raises:
        ValueError: It is none, and may lead anywhere.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    return digest.removeprefix("sha256:")


def _seal(folder_digest: str, content: bytes) -> bytes:
    return f"{folder_digest} {digest_of(content)}\n".encode() + content


def _sealed(text: bytes) -> tuple[str, bytes] | None:
    head, _, content = text.partition(b"\n")
    folder_digest, _, digest = head.decode("ascii", "replace").partition(" ")
    return (folder_digest, content) if digest_of(content) == digest else None
