"""A run of the program that is watched as it goes on: killed, signalled or left, at a line it writes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.program import Program, Ran

_DEAF = 30.0
"""Seconds within which something that is under way must have ended."""


class Run:
    """One run of the program, with what it has written to stderr so far."""

    def __init__(self, process: subprocess.Popen[str], arguments: tuple[str, ...]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._arguments = arguments
        self._began = time.monotonic()

    def until(self, words: str) -> str:
        """Read on until a line has these words."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"ended without saying {words!r}: {self.process.wait()}\n{''.join(self.lines)}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, code: int | None = None) -> Ran:
        """Read to the end."""
        out, err = self.process.communicate(timeout=90)
        ran = Ran(
            arguments=self._arguments,
            code=self.process.returncode,
            stdout=out,
            stderr="".join(self.lines) + err,
            seconds=time.monotonic() - self._began,
        )
        assert code is None or ran.code == code, str(ran)
        assert "Traceback" not in ran.stderr, str(ran)
        return ran


@contextmanager
def started(program: Program, *arguments: str) -> Iterator[Run]:
    """Start a run; whatever the block leaves of it is killed."""
    run = Run(program.start(*arguments), arguments)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()


def children_named(parent: int, name: str) -> list[int]:
    """Name the processes of a name that another one started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        comm = stat[stat.index("(") + 1 : stat.rindex(")")]
        if comm == name and int(stat.rpartition(")")[2].split()[1]) == parent:
            found.append(int(folder.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(process: int) -> None:
    """Wait until a process that is not our child has ended."""
    deadline = time.monotonic() + _DEAF
    while alive(process):
        assert time.monotonic() < deadline, f"process {process} does not end"
        time.sleep(0.02)


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    wait_for_end(process)
