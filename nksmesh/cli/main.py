"""The console script: the one place that exits."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Final

from nksmesh import __version__
from nksmesh.domain.common.errors import ConfigError
from nksmesh.report.streams import write_out

_GARBAGE: Final = 200_000
"""New objects between two collections. Imports make a hundred thousand that stay: with Python's own 700 a tenth of the
start-up goes into looking at them again and again, and with 50,000 there is one collection more, of 40 ms."""


def main() -> None:
    """Run the command line, and exit."""
    code = run_command_line(sys.argv[1:])
    try:
        write_out("")  # Python flushes at its end what Typer itself wrote, and would complain there
    except ConfigError as error:
        code = code or _failed(error)
    gc.freeze()  # or Python looks for garbage among all that was imported: a tenth of a second before it ends
    sys.exit(code)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code (see nksmesh.domain.errors).
    """
    # Scripts ask for the version in loops: no need to build the command line, which takes ten times as long.
    if list(arguments) == ["--version"]:
        try:
            write_out(f"nksmesh {__version__}\n")
        except ConfigError as error:
            return _failed(error)
        return 0
    gc.set_threshold(_GARBAGE)
    from nksmesh.cli.app import run_app

    return run_app(list(arguments))


def _failed(error: ConfigError) -> int:
    from nksmesh.cli.failure import fail
    from nksmesh.cli.options import Shell

    return fail(Shell(command=""), error)
