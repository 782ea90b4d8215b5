"""A test run that ends badly leaves no process of its sandboxes behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 30.0
"""Seconds until a process that should end counts as left behind."""

HEARS_CTRL_C = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))
"""
"""A shell lets what it starts in the background ignore Ctrl-C, and so does all that this starts."""

RUN = """
import os, time
from pathlib import Path
from nksmesh.sandbox import processes

def test_that_never_ends(sandbox_homes, tmp_path):
    def start(folder):
        folder.mkdir(parents=True)
        return processes.start(processes.Program(
            command=("/bin/sleep", "600"), directory=folder, log=folder / "log", process=folder / "pid.json"
        )).pid
    pids = [start(sandbox_homes / "try" / "run"), start(tmp_path / "elsewhere")]
    pids.append(os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ, setsid=True))
    told = Path(os.environ["TOLD"])
    told.with_suffix(".new").write_text(" ".join(map(str, pids)))
    told.with_suffix(".new").replace(told)
    time.sleep(600)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def test_run(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A pytest with a sandbox's process, one that is no sandbox's, and one of a program that a test runs."""
    (tmp_path / "test_long.py").write_text(RUN)
    told = tmp_path / "told"
    plugins = ("-p", "tests.sandbox_fixtures", "-p", "no:cacheprovider")
    options = ("-q", "-c", os.devnull, "--rootdir", str(tmp_path), f"--basetemp={tmp_path / 'base'}")
    run = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *plugins, *options, str(tmp_path / "test_long.py")],
        cwd=ROOT,
        env={**os.environ, "TOLD": str(told)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    pids: list[int] = []
    try:
        until(lambda: told.exists() or run.poll() is not None)
        pids += map(int, told.read_text().split())
        yield run, pids
    finally:
        run.kill()
        run.wait()
        for pid in filter(runs, pids):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="sandboxes run on Linux alone")
@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_the_processes_of_its_sandboxes_end_with_a_test_run(
    test_run: tuple[subprocess.Popen[bytes], list[int]], signals: list[signal.Signals]
) -> None:
    run, (part, other, program) = test_run
    assert all(map(runs, (part, other, program)))
    for number in signals:
        os.killpg(run.pid, number)
    run.wait(LIMIT)
    until(lambda: not runs(part) and not runs(program))
    assert runs(other)
