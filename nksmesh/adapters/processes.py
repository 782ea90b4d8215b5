"""Processes of this machine, as /proc tells of them."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nksmesh.domain.mesh.holding import Holder

RUN_VARIABLE: Final = "NKSMESH_RUN"
"""In the environment of every Helm that a run starts: which run that is. It outlives the run, and any note of it."""

_SESSION_FIELD: Final = 3
_START_FIELD: Final = 19
"""Fields 6 and 22 of stat (proc(5)), of which the third is the first after the name."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A program that has ended.

    Attributes:
        code: Its exit code; below zero the signal that ended it.
        out: What it wrote to stdout.
        err: What it wrote to stderr, where that was not to go to stdout.
    """

    code: int
    out: bytes
    err: bytes


async def run_to_end(
    program: Path, arguments: Iterable[str], *, environ: Mapping[str, str], seconds: float, together: bool = False
) -> Ended:
    """Run a program without a stdin until it ends; it is killed where it takes too long, or nobody waits any more.

    Args:
        environ: Its environment.
        seconds: How long it may take.
        together: What it writes to stderr goes to stdout.

    Raises:
        OSError: It cannot be started.
        TimeoutError: It took longer.
    """
    pipe, merged = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=merged if together else pipe,
        env=dict(environ),
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:  # it was given up, or the run was
            process.kill()
            await process.wait()
    return Ended(code=process.returncode or 0, out=out, err=err or b"")


def start_of(process: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc(5)); None where it is dead or a zombie."""
    fields = _stat(process)
    return int(fields[_START_FIELD]) if fields else None


def this_run(command: str) -> Holder:
    """Describe this process as a holder."""
    process = os.getpid()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    boot, namespace = _where()
    return Holder(
        host=socket.gethostname(),
        process=process,
        started=start_of(process) or 0,
        user=user,
        command=command,
        boot=boot,
        namespace=namespace,
    )


def alive(holder: Holder) -> bool:
    """Tell whether a holder still runs; one that cannot be seen from here is taken to."""
    return not here(holder) or start_of(holder.process) == holder.started


def here(holder: Holder) -> bool:
    """Tell whether a holder ran where its process can be seen: on this machine, since its boot, in this container."""
    return bool(holder.boot) and (holder.host, holder.boot, holder.namespace) == (socket.gethostname(), *_where())


def _where() -> tuple[str, str]:
    """Return the id of this machine's boot, and the namespace that our process ids are of."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "", ""  # then nobody is known to be here, and only the lease's time tells


def mark_of(process: int, started: int) -> str:
    """Return the value of RUN_VARIABLE for a run."""
    return f"{process}/{started}"


def this_mark() -> str:
    """Return the value of RUN_VARIABLE for this run."""
    return mark_of(os.getpid(), start_of(os.getpid()) or 0)


def still_running(processes: tuple[int, ...]) -> tuple[int, ...]:
    """Return those of the processes that have not ended."""
    return tuple(process for process in processes if _stat(process))


def helms_of(holder: Holder) -> tuple[int, ...]:
    """Return the Helms that a run of this machine has at work.

    Those that carry its mark, whatever their program is called (``--helm``), and those that it noted and that are named
    helm: a run may die before it could note one, and another user's environment cannot be read. What a Helm itself
    runs has the mark, too, but leads no session: every Helm is started in one of its own.
    """
    if not here(holder):
        return ()
    mark = f"{RUN_VARIABLE}={mark_of(holder.process, holder.started)}".encode()
    everyone = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    marked = (process for process in everyone if _leads_session(process) and mark in _environment(process))
    noted = (process for process in still_running(holder.helm) if _name(process) == "helm")
    return tuple(dict.fromkeys((*noted, *marked)))


async def wait_for_helm(processes: tuple[int, ...]) -> None:
    """Wait until processes have ended; they need not be our own children."""
    loop = asyncio.get_running_loop()
    for process in processes:
        try:
            handle = os.pidfd_open(process)
        except OSError:
            continue  # it ended meanwhile
        ended = asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)


def _stat(process: int) -> list[str]:
    """Return what stat has behind the name of a process (proc(5)); nothing where it is dead or a zombie."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = stat.rpartition(")")[2].split()
    return [] if fields[0] == "Z" else fields


def _leads_session(process: int) -> bool:
    fields = _stat(process)
    return bool(fields) and fields[_SESSION_FIELD] == str(process)


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _environment(process: int) -> list[bytes]:
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:  # it ended, or is somebody else's
        return []
