"""pyhelm3's Command, as this program needs it: no shell, a session of its own, our own errors."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nksmesh.adapters import processes
from nksmesh.adapters.bare_packages import import_from_bare
from nksmesh.domain.common.errors import ClusterError, HelmStartError, ReleaseError

if TYPE_CHECKING:
    from pyhelm3.command import Command
else:
    (pyhelm3_command,) = import_from_bare(["pyhelm3"], "pyhelm3.command")
    Command = pyhelm3_command.Command

FINISH_SECONDS: Final = 30.0
"""How long a Helm that is at work may go on after Ctrl-C, in seconds, before it is asked to end."""

_MEMORY: Final = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""Helm ends within a second and takes some 50 MB: to look for garbage until then costs a fifth of its processor time.
It begins to where it comes near the limit. What the user has set for Go's programs goes before."""

_NO_YAML: Final = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML does not take as it is, or takes for a line's end; JSON escapes what is below a blank."""

_OVERRIDES: Final = ("HELM_KUBE", "HELM_NAMESPACE")
_UNREACHABLE: Final = (
    "ubernetes cluster unreachable",
    "connection refused",
    "no such host",
    "i/o timeout",
    "network is unreachable",
    "unexpected EOF",
)
_CREDENTIALS: Final = "provide credentials"
_ANSWERED: Final = "failed calling webhook"
"""The API server's own words on a webhook it could not reach: it was there to say them."""


Watcher = Callable[[int | None], None]
"""Told the process id of each Helm that begins to write, and None when it has ended."""


class HelmCommand(Command):  # type: ignore[misc]  # pyhelm3 carries no annotations
    """Runs Helm's commands.

    pyhelm3 goes through a shell and ends Helm when a task is cancelled. Here Helm is executed directly, in a
    session of its own so that a terminal's Ctrl-C reaches this program first, and is left to finish what it began.
    """

    def __init__(
        self,
        executable: Path,
        *,
        kubeconfig: Path | None,
        context: str,
        watcher: Watcher,
        history_max: int = 0,
        flags: Iterable[str] = (),
    ) -> None:
        """Prepare one command of Helm.

        Args:
            kubeconfig: None for the one that KUBECONFIG names.
            context: Empty for the current one.
            watcher: Told which Helm process is writing.
            history_max: How many revisions of a release a rollback keeps; 0 is all.
            flags: Flags that pyhelm3's methods do not know; they follow the method's own.
        """
        super().__init__(
            executable=str(executable),
            kubeconfig=kubeconfig,
            kubecontext=context or None,
            history_max_revisions=history_max,
        )
        self._watcher = watcher
        self._flags = tuple(flags)
        self._output = b""
        # What Helm is told is what the Python client was told: nothing else may turn it to another cluster.
        kept = {key: text for key, text in os.environ.items() if not key.startswith(_OVERRIDES)}
        self._environment = {**_MEMORY, **kept}
        self._environment[processes.RUN_VARIABLE] = processes.this_mark()

    async def template(self, *chart: Any, **options: Any) -> str:
        """Render a chart, and return what Helm printed: pyhelm3 would parse it, with a slow loader.

        Raises:
            ClusterError: Helm could not reach the cluster.
            ReleaseError: Helm failed; its words are in ``detail``.
        """
        await super().template(*chart, **options)
        return self._output.decode()

    async def run(self, command: list[Any], input: bytes | None = None) -> bytes:  # noqa: A002 - pyhelm3's name
        """Run one Helm command and return what it printed.

        Args:
            input: The values as JSON, for a command that reads them.

        Raises:
            ClusterError: Helm could not reach the cluster.
            HelmStartError: Helm could not be started.
            ReleaseError: Helm failed; its words are in ``detail``.
        """
        arguments = [*(str(part) for part in command), *self._flags]
        if self._kubeconfig:
            arguments += ["--kubeconfig", str(self._kubeconfig)]
        if self._kubecontext:
            arguments += ["--kube-context", self._kubecontext]
        writes = arguments[0] in {"install", "upgrade", "uninstall", "rollback"}
        starting = asyncio.ensure_future(self._start(arguments, _as_yaml(input or b"")))
        work = asyncio.ensure_future(self._finish(starting, writes=writes))
        try:
            code, out, err = await asyncio.shield(work)
        except asyncio.CancelledError:
            # Cancelled while it starts a process, asyncio would kill it, or (3.11) wait for ever.
            await _let_finish(await starting, work, FINISH_SECONDS if writes else 0)
            raise
        if code != 0:
            killed = f"Helm was ended by the signal {signal.strsignal(-code)}" if code and code < 0 else ""
            raise _failure(arguments, err.decode(errors="replace").strip() or killed)
        self._output = out
        return out

    async def _start(self, arguments: list[str], content: bytes) -> asyncio.subprocess.Process:
        with _all_of(content) as stdin:
            try:
                return await asyncio.create_subprocess_exec(
                    self._executable,
                    *arguments,
                    stdin=stdin,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    env=self._environment,
                )
            except OSError as exc:
                raise HelmStartError(
                    f"{self._executable} cannot be started: {exc.strerror}",
                    hint="Check that it still exists, that you may execute it and that there is enough memory. "
                    "Then run the same command again.",
                ) from exc

    async def _finish(
        self, starting: asyncio.Future[asyncio.subprocess.Process], *, writes: bool
    ) -> tuple[int | None, bytes, bytes]:
        """Return the exit code of a Helm, and what it wrote to stdout and to stderr."""
        process = await starting
        if writes:
            self._watcher(process.pid)
        try:
            out, err = await process.communicate()
        finally:
            if writes:
                self._watcher(None)
        return process.returncode, out, err


def _as_yaml(values: bytes) -> bytes:
    """Write JSON as JSON that is YAML, too: as Helm reads it, there are no surrogate pairs in escapes."""
    text = json.dumps(json.loads(values), ensure_ascii=False) if values else ""
    return _NO_YAML.sub(lambda rune: f"\\u{ord(rune[0]):04x}", text).encode()


@contextmanager
def _all_of(content: bytes) -> Iterator[int]:
    """Open a file in memory that holds all a Helm is to read.

    A pipe would give a Helm that outlives this program half of its values, and it would go on with those.
    """
    handle = os.memfd_create("values")
    try:
        os.write(handle, content)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


async def _let_finish(process: asyncio.subprocess.Process, work: asyncio.Future[Any], seconds: float) -> None:
    """Wait for a Helm that is at work; past the time, ask it to end, and wait for that."""
    done, _ = await asyncio.wait({work}, timeout=seconds)
    if not done:
        process.terminate()
        await asyncio.wait({work})


def _failure(arguments: list[str], words: str) -> ClusterError | ReleaseError:
    """Turn Helm's words into the error they are."""
    if _ANSWERED not in words and any(sign in words for sign in _UNREACHABLE):
        refused = _CREDENTIALS in words
        return ClusterError(
            f"helm {arguments[0]} lost its connection to the API server",
            hint="Fetch the cluster's kubeconfig again from the NKS console: its credentials are not accepted."
            if refused
            else "Check the cluster. Then run the same command again.",
            detail=words,
            passing=not refused,
        )
    hint = "Helm's message above says why. Fix the cause, then run the same command again to resume."
    return ReleaseError(f"helm {arguments[0]} {arguments[1]} failed", hint=hint, detail=words)
