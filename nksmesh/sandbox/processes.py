"""Processes that outlive the command that started them, found again by id and start time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nksmesh.adapters.files.private import write_private
from nksmesh.adapters.processes import start_of
from nksmesh.domain.common.errors import ClusterError

STOP_GRACE: Final = 5.0
_KEPT_VARIABLES: Final = ("GOGC", "GOMEMLIMIT", "HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class Program:
    """How one part of a sandbox is started."""

    command: tuple[str, ...]
    directory: Path
    log: Path
    process: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessId:
    """One process, told apart from a later one of the same number by when it started."""

    pid: int
    started: str

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return _start_time(self.pid) == self.started

    @property
    def of_another_boot(self) -> bool:
        """Whether the machine was started since: then nobody crashed."""
        return self.started.partition("/")[0] != _boot()


def start(program: Program) -> ProcessId:
    """Start a program in a session of its own, its output in its log, and note which process it is.

    Raises:
        ClusterError: It cannot be started.
    """
    program.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment.update(program.environment)
    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    # posix_spawn has no working folder; a one-line shell does, and exec leaves one process, of one id
    shell = ("/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(program.directory))
    try:
        pid = os.posix_spawn(
            shell[0],
            [*shell, *program.command],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGTERM),
        )
    except OSError as error:
        raise ClusterError(
            f"{program.command[0]} cannot be started: {error.strerror}",
            hint="Check that the file system is not mounted noexec, and that there is enough memory.",
        ) from error
    finally:
        os.close(log)
    process = ProcessId(pid, _start_time(pid) or "")
    write_private(program.process, json.dumps({"pid": process.pid, "started": process.started}))
    return process


def find(path: Path) -> ProcessId | None:
    """Read which process a part is; None where it was stopped or never started."""
    try:
        content = json.loads(path.read_text())
        return ProcessId(int(content["pid"]), str(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def stop(path: Path, *, grace: float = STOP_GRACE) -> None:
    """Stop a part: ask, and after ``grace`` seconds insist; 0 insists at once."""
    await _stop(path, grace)
    _forget(path)


async def kill(path: Path) -> None:
    """Kill a part as a crash would: its note stays, so that it counts as crashed."""
    await _stop(path, 0)


async def ended(process: ProcessId) -> None:
    """Return when the process has ended."""
    with _pinned(process) as descriptor:
        if descriptor is not None:
            await _readable(descriptor)


def last_lines(path: Path, count: int = 10) -> str:
    """Read the last lines of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _stop(path: Path, grace: float) -> None:
    with _pinned(find(path)) as descriptor:
        if descriptor is None:
            return
        if grace:
            _signal(descriptor, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_readable(descriptor), grace)
                return
        _signal(descriptor, signal.SIGKILL)
        await _readable(descriptor)


@contextlib.contextmanager
def _pinned(process: ProcessId | None) -> Iterator[int | None]:
    """Open a process: who checks it and who signals it has the same one; None where it has ended."""
    try:
        descriptor = os.pidfd_open(process.pid) if process else None
    except OSError:
        descriptor = None
    if process is None or descriptor is None:
        yield None
        return
    try:
        yield descriptor if process.running else None
    finally:
        os.close(descriptor)
        _reap(process.pid)


def _signal(descriptor: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _start_time(pid: int) -> str | None:
    """When a process started, as boot and clock ticks; None where it has ended (a zombie has)."""
    started = start_of(pid)
    if started is None:
        _reap(pid)
        return None
    return f"{_boot()}/{started}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
