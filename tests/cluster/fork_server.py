"""A process that has imported the whole program, and forks one that runs it for each run that is asked for.

A run imports for 0.6 to 0.9 s of a processor before it does anything; a test has five to ten runs. What is forked is a
process of its own as any: with its arguments, folder, environment and streams, its signals and its exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import nksmesh

_STREAMS = 3
_SIZE = 8
"""Bytes of a number."""


class ForkServer:
    """The server, seen from the tests."""

    def __init__(self, folder: Path) -> None:
        """Start it; its socket is in ``folder``."""
        self._path = folder / "forks.sock"
        inherited = {name: text for name, text in os.environ.items() if name != "KUBECONFIG"}
        environment = {**inherited, "NO_COLOR": "1", "PYTHONPATH": str(Path(nksmesh.__file__).parents[1])}
        command = (sys.executable, "-m", __name__, str(self._path))
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n", "the fork server does not come up"

    def close(self) -> None:
        """End it; runs that go on are not ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[str],
        stderr: IO[str],
    ) -> Forked:
        """Fork a run; nothing comes in through its standard input."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        request = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
        with Path(os.devnull).open() as nothing:
            streams = [stream.fileno() for stream in (nothing, stdout, stderr)]
            socket.send_fds(connection, [len(request).to_bytes(_SIZE)], streams)
        connection.sendall(request)
        return Forked(connection)


class Forked:
    """A run under way.

    Attributes:
        pid: Its process, which is no child of the tests' own.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = self._number()

    def wait(self, seconds: float) -> int | None:
        """Return its exit code, or minus the number of the signal that ended it; None where it goes on for longer."""
        if not select.select([self._connection], [], [], seconds)[0]:
            return None
        with self._connection:
            return self._number()

    def _number(self) -> int:
        answer = self._connection.recv(_SIZE, socket.MSG_WAITALL)
        assert len(answer) == _SIZE, "the fork server has ended"
        return int.from_bytes(answer, signed=True)


@functools.cache
def fork_server() -> ForkServer:
    """Start this test process's server when it is first asked for; it ends with the test process."""
    folder = tempfile.TemporaryDirectory(prefix="nksmesh-")
    server = ForkServer(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.close)
    return server


def serve(path: str) -> None:
    """Fork a run for each request, until standard input ends; return in the forked process alone."""
    _import_all()
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    gc.freeze()  # what was imported is shared with every run: nobody looks for garbage in it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the tests' own matter
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as selector:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)  # noqa: T201 - what the tests wait for
        selector.register(listening, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listening for key, _ in selector.select()):
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
        else:
            os._exit(0)
    with connection:
        _watched(connection)


def _watched(connection: socket.socket) -> None:
    """Fork again: tell the tests of the run that it is, and return in the run."""
    size, streams, _, _ = socket.recv_fds(connection, _SIZE, _STREAMS)
    wanted = int.from_bytes(size)
    with connection.makefile("rb") as requests:
        arguments, folder, environment = json.loads(requests.read(wanted))
    pid = os.fork()
    if pid:
        for stream in (0, 1, *streams):  # or the streams would not end with the run
            os.close(stream)
        connection.sendall(pid.to_bytes(_SIZE))
        _, status = os.waitpid(pid, 0)
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(_SIZE, signed=True))
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["nksmesh", *arguments]


def _import_all() -> None:
    """Import the program, and with it the client that it imports when it first speaks to a cluster."""
    for name in _modules():
        importlib.import_module(name)


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(nksmesh.__path__, "nksmesh."):
        if "__main__" not in module.name:
            yield module.name


if __name__ == "__main__":
    serve(sys.argv[1])
    from nksmesh.cli.main import main

    main()
