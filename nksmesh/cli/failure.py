"""From whatever was raised to one error of ours, shown, and its exit code."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from typing import Final

from nksmesh.cli.options import Shell
from nksmesh.domain.common.errors import ConfigError, InterruptedRunError, MeshError
from nksmesh.report.redaction import redact

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PATH: Final = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
"""What the system says of paths that no file can have, wherever one is looked at first."""


def fail(shell: Shell, raised: BaseException) -> int:
    """Show what ended a command.

    Returns:
        The exit code.
    """
    error = mesh_error(raised)
    if shell.debug:
        shell.report.say("".join(traceback.format_exception(raised)).rstrip())
    shell.report.failed(error)
    return error.exit_code


def mesh_error(raised: BaseException) -> MeshError:
    """Find the error to show: of a group the first of ours, with the others as its notes; anything else is a bug."""
    first, *others = _leaves(raised)
    ours = next((leaf for leaf in (first, *others) if isinstance(leaf, MeshError)), None)
    if ours is None:
        return _translated(first)
    for leaf in (first, *others):
        if leaf is not ours:
            ours.add_note(f"also failed: {leaf if isinstance(leaf, MeshError) else _named(leaf)}")
    return ours


def _leaves(raised: BaseException) -> Iterator[BaseException]:
    if not isinstance(raised, BaseExceptionGroup):
        yield raised
        return
    for inner in raised.exceptions:
        for leaf in _leaves(inner):
            for note in getattr(raised, "__notes__", ()):
                leaf.add_note(note)
            yield leaf


def _translated(raised: BaseException) -> MeshError:
    if isinstance(raised, KeyboardInterrupt):
        return InterruptedRunError("interrupted", hint="Run the same command again when you are ready.")
    if isinstance(raised, OSError) and raised.errno in _FULL:
        # Typer writes its help itself, and other programs' libraries their own files.
        where = raised.filename or "stdout or a file"
        return ConfigError(
            f"{where} cannot be written: {raised.strerror}",
            hint="Free some space on its disk, then run the same command again.",
        )
    if isinstance(raised, OSError) and raised.errno in _NO_PATH:
        return ConfigError(
            f"{raised.filename} cannot be read: {raised.strerror}",
            hint="Check the paths of the command and of mesh.yaml.",
        )
    error = MeshError(
        f"a bug in nksmesh: {_named(raised)}",
        hint="Run it again with --debug, and report the traceback, the command and the output of nksmesh --version.",
    )
    for note in getattr(raised, "__notes__", ()):
        error.add_note(note)
    return error


def _named(raised: BaseException) -> str:
    said = redact(" ".join(str(raised).split()))
    return f"{type(raised).__name__}: {said}" if said else type(raised).__name__
