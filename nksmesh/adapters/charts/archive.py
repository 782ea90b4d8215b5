"""Chart archives: unpacked without trusting them, and what identifies them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Final

from nksmesh.adapters import archives
from nksmesh.domain.common.errors import ChartError

MIB: Final = archives.MIB
MOST_ARCHIVE: Final = 20 * MIB
MOST_FILE: Final = 20 * MIB
MOST_WHOLE: Final = 100 * MIB
MOST_ENTRIES: Final = 10_000

_CHART: Final = archives.Kind(
    what="chart",
    proof="Chart.yaml",
    suffix=".tgz",
    most_file=MOST_FILE,
    most_whole=MOST_WHOLE,
    most_entries=MOST_ENTRIES,
    error=ChartError,
    hint="The archive was not used. Fetch it again from a source you trust, or pass another source with --charts.",
)


def digest_of(archive: bytes) -> str:
    """``sha256:<hex>`` of an archive's bytes."""
    return f"sha256:{hashlib.sha256(archive).hexdigest()}"


def digest_of_folder(folder: Path) -> str:
    """``sha256:<hex>`` over the files of a folder: relative names in order, and bytes.

    Raises:
        OSError: A file cannot be read.
    """
    whole = hashlib.sha256()
    for name, path in sorted(_files(folder, "")):
        content = Path(path).read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        whole.update(content)
    return f"sha256:{whole.hexdigest()}"


def unpack(archive: IO[bytes], into: Path, *, title: str) -> None:
    """Unpack a chart's archive: what its one top folder holds is put into ``into``.

    Args:
        into: A folder that is there and empty; nothing is written outside of it.
        title: What errors call the archive.

    Raises:
        ChartError: The archive is broken, too large, or not what a chart's archive may be.
        OSError: The folder cannot be written.
    """
    archives.unpack(archive, into, _CHART, title=title)


def _files(folder: Path | str, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                found.append((f"{prefix}{entry.name}", entry.path))
    return found
