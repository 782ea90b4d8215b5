"""Bookinfo's productpage: Istio's own program, in a Python environment of its own in the cache.

Its requirements.txt names each package with its version and its SHA-256. None of them is nksmesh's own, and pip takes
nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.sandbox.builds import ISTIO

_REQUIREMENTS: Final = "requirements.txt"
_STEP: Final = "make productpage's environment"


def source() -> Path:
    """Return the folder with its program, as the samples have it."""
    return ISTIO.folder / "samples" / "bookinfo" / "src" / "productpage"


def environment() -> Path:
    """Return the folder of its Python environment: one for each list of packages, and each Python.

    Raises:
        ConfigError: The samples are not in the cache.
    """
    try:
        digest = hashlib.sha256((source() / _REQUIREMENTS).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"productpage's program is not in {source()}: {error.strerror}",
            hint="Run nksmesh sandbox build --data-plane.",
        ) from error
    digest.update(f"{sys.version} {sys.platform} {platform.machine()}".encode())
    return ISTIO.folder.parent / f"productpage-{digest.hexdigest()[:16]}"


def command(host: str, port: int) -> tuple[str, ...]:
    """Return its command line: gunicorn with gevent, as in its image, but one worker instead of eight.

    It is to run in the folder ``source``.

    Raises:
        ConfigError: The samples are not in the cache.
    """
    gunicorn = ("-m", "gunicorn", "--bind", f"{host}:{port}", "--workers", "1", "--keep-alive", "2")
    return (str(environment() / "bin" / "python"), "-B", *gunicorn, "--worker-class", "gevent", "productpage:app")


async def ensure(listener: Listener = unheard) -> Path:
    """Return the folder of its environment, made where it is missing; the samples must be there.

    Raises:
        ConfigError: The samples are not in the cache, or it cannot be written.
        ClusterError: The packages cannot be had.
    """
    from nksmesh.sandbox.programs import kept

    folder = environment()
    return await kept(
        folder, "productpage's environment", lambda scratch: _make(scratch, listener), built=(folder / "made").exists
    )


async def _make(folder: Path, listener: Listener) -> None:
    listener(Event(step=_STEP, kind=EventKind.STARTED))
    begun = time.monotonic()
    await _run(sys.executable, "-m", "venv", str(folder))
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes")
    await _run(str(folder / "bin" / "python"), *install, "-r", str(source() / _REQUIREMENTS))
    (folder / "made").touch()
    listener(Event(step=_STEP, kind=EventKind.DONE, message=f"{time.monotonic() - begun:.0f} s"))


async def _run(*arguments: str) -> None:
    # a Python that runs this one's tests sets PYTHONPATH, and pip would take what is there as installed
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise ClusterError(
            f"productpage's Python environment could not be made: {Path(arguments[0]).name} {' '.join(arguments[1:3])} "
            f"ended with status {process.returncode}",
            hint="See its output below. It needs Python's venv (python3-venv on Debian) and a package index (PyPI).",
            detail="\n".join(said.decode(errors="replace").splitlines()[-20:]),
        )
