"""charts.lock on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nksmesh.adapters.files.documents import read_document
from nksmesh.domain.charts.lock import LOCK_NAME, Lock, parse_lock
from nksmesh.domain.common.errors import ConfigError


class LockFile:
    """A charts.lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Lock:
        """What it says.

        Raises:
            ConfigError: It cannot be read, is not YAML, or not a lock of ours.
        """
        document = read_document(self.path)
        return parse_lock(document.values, file=str(self.path), lines=document.lines)

    def write(self, lock: Lock) -> None:
        """Replace it, whole or not at all.

        Raises:
            ConfigError: It cannot be written.
        """
        # The mode a new file would have had: mkstemp's is the owner's alone.
        try:
            mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
            handle, fresh = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(lock.text())
                    os.fchmod(file.fileno(), mode)
                Path(fresh).replace(self.path)
            except BaseException:
                Path(fresh).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written: {error.strerror or error}",
                hint=f"`nksmesh init DIR` writes a folder with a {LOCK_NAME} of its own; --dir DIR uses it.",
            ) from error
