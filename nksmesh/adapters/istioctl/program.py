"""The program istioctl: asked for an answer, or run in the place of this one."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from nksmesh.adapters import processes
from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.istioctl.archive import platform_of

LONGEST_SECONDS: Final = 120.0
"""How long istioctl may take to answer. It has waits of its own, of 30 s and of 1 minute."""


def this_platform() -> str:
    """Name the platform of this machine, as Istio's archives do.

    Raises:
        IstioctlError: Istio publishes no archive for it.
    """
    return platform_of(platform.system(), platform.machine())


class IstioctlProgram:
    """An istioctl, and the cluster that it is to work on.

    Args:
        path: The program.
        kubeconfig: None for the one that KUBECONFIG names.
        context: Empty for the current one.
        namespace: The control plane's namespace; empty for istio-system.
    """

    def __init__(self, path: Path, *, kubeconfig: Path | None, context: str, namespace: str) -> None:
        self._path = path
        told = {"--kubeconfig": kubeconfig, "--context": context, "--istioNamespace": namespace}
        self._told = [f"{flag}={text}" for flag, text in told.items() if text]

    async def ask(self, arguments: Sequence[str]) -> processes.Ended:
        """Run it to its end, and return what it said.

        Raises:
            IstioctlError: It cannot be started, or does not end.
        """
        command = [*self._told, *arguments]
        try:
            return await processes.run_to_end(self._path, command, environ=os.environ, seconds=LONGEST_SECONDS)
        except TimeoutError:
            raise IstioctlError(
                f"istioctl {arguments[0]} did not end within {LONGEST_SECONDS:.0f} s",
                hint="Check that the API server and istiod answer: nksmesh status.",
            ) from None
        except OSError as error:
            raise self._unusable(error) from error

    def become(self, arguments: Sequence[str]) -> NoReturn:
        """Go on as istioctl: its terminal, its signals and its exit code are this process's own.

        Raises:
            IstioctlError: It cannot be started.
        """
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and so would istioctl
        try:
            os.execv(self._path, [str(self._path), *self._told, *arguments])  # noqa: S606 - no shell is wanted
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> IstioctlError:
        return IstioctlError(
            f"{self._path} cannot be started: {error.strerror or error}",
            hint="Fetch it again: nksmesh istioctl fetch.",
        )
