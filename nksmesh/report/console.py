"""The console that text is laid out on."""

from __future__ import annotations

import os
from typing import IO, Final

from rich.console import Console

UNBOUNDED: Final = 1000
"""Columns where nobody looks at a screen: what goes into a pipe or a file is not cut to fit one."""


def make_console(stream: IO[str], *, color: bool) -> Console:
    """Make a console for a stream: as wide as its terminal, coloured where that is wanted and possible."""
    terminal = stream.isatty()
    width = None if terminal or "COLUMNS" in os.environ else UNBOUNDED
    return Console(
        file=stream,
        width=width,
        color_system="auto" if color and terminal else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )
