"""Processes of this machine, as /proc tells of them."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from nksmesh.domain.holding import Holder

RUN_VARIABLE: Final = "NKSMESH_RUN"
"""In the environment of every Helm that a run starts: which run that is. It outlives the run, and any note of it."""

_START_FIELD: Final = 19  # starttime is field 22 of stat, and the third is the first after the name


def start_of(process: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc(5)); None where it is dead or a zombie."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[_START_FIELD])


def this_run(command: str) -> Holder:
    """Describe this process as a holder."""
    import getpass  # noqa: PLC0415 - only runs that write need it

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
    """Return those of the processes that run a program named helm."""
    return tuple(one for one in processes if _name(one) == "helm")


def helms_of(holder: Holder) -> tuple[int, ...]:
    """Return the Helms that a run of this machine has at work.

    Those that it noted, and those that carry its mark: a run may die before it could note one.
    """
    if not here(holder):
        return ()
    mark = f"{RUN_VARIABLE}={mark_of(holder.process, holder.started)}".encode()
    everyone = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    marked = (one for one in still_running(tuple(everyone)) if mark in _environment(one))
    return tuple(dict.fromkeys((*still_running(holder.helm), *marked)))


async def wait_for_helm(processes: tuple[int, ...]) -> None:
    """Wait until those of the processes that are Helm have ended; they need not be our own children."""
    import asyncio  # noqa: PLC0415 - the one function here that waits

    loop = asyncio.get_running_loop()
    for process in still_running(processes):
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
