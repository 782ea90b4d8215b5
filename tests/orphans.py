"""Ends the processes of a test run's sandboxes when the run ends, however it ends: killed, too.

A sandbox outlives the command that brought it up, and so it would outlive a test run that has no time to delete it.
A process of its own reads a pipe that the run holds open: the pipe's end is the run's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nksmesh.sandbox.layout import HOME_VARIABLE

QUIET_SECONDS = 0.5
"""Nothing new may appear for so long: what is ended may have been about to start more."""


@contextlib.contextmanager
def none_left(homes: Path) -> Iterator[None]:
    """End what works in a folder of sandboxes when a block ends, or when this process does; on Linux alone."""
    if sys.platform != "linux":
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.orphans", str(homes)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # whoever reads this run's output does not wait for the watcher
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the run
    )
    try:
        yield
    finally:
        watcher.communicate()


def end_all(homes: Path) -> None:
    """Kill every process that works in a folder of sandboxes, or was told of it, until there is none."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        for process in Path("/proc").glob("[0-9]*"):
            if int(process.name) != os.getpid() and _killed(process, homes):
                quiet_since = time.monotonic()
        time.sleep(QUIET_SECONDS / 10)


def _killed(process: Path, homes: Path) -> bool:
    """Kill a process if it is meant; the descriptor is of the one that was looked at, whoever has its number then."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(int(process.name))
        try:
            told = f"{HOME_VARIABLE}={homes}".encode() in (process / "environ").read_bytes().split(b"\0")
            if told or (process / "cwd").readlink().is_relative_to(homes):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_all(Path(sys.argv[1]))
