"""The console that text is laid out on, and the few shapes it comes in: tables without lines, facts, sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import IO, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nksmesh.domain.common.findings import Finding
from nksmesh.report.redaction import redact

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


GOOD: Final = "green"
DOUBTFUL: Final = "yellow"
BAD: Final = "red"
FAINT: Final = "dim"

Cell = str | Text


def state(text: str, *, good: bool) -> Text:
    """Colour a state."""
    return Text(text, style=GOOD if good else BAD)


def sentence(console: Console, text: str, style: str = "") -> None:
    """Print a sentence, whole words a line on a terminal and in one line elsewhere."""
    console.print(Text(text, style=style))


def warnings(console: Console, texts: Iterable[str]) -> None:
    """Print warnings, one a line."""
    for text in texts:
        console.print(Text.assemble(("warning:", DOUBTFUL), " ", redact(text)))


def failures(console: Console, findings: Iterable[Finding]) -> None:
    """Print failures as errors are printed, each sentence once: one registry fails all its images."""
    for finding in {finding.message: finding for finding in findings}.values():
        sentence(console, redact(f"error: {finding.message}"), BAD)
        for line in finding.detail.splitlines():
            sentence(console, redact(f"  | {line}"))
        sentence(console, redact(f"hint: {finding.hint}"))


def facts(console: Console, pairs: Iterable[tuple[str, Cell]]) -> None:
    """Print named facts below each other; those that are empty are left out."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=FAINT, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if str(value):
            grid.add_row(name, value)
    if grid.row_count:
        console.print(grid)


def rows(console: Console, headers: Sequence[str], lines: Iterable[Sequence[Cell]], *, indent: int = 0) -> None:
    """Print a table; nothing at all where it has no lines.

    Args:
        indent: Columns to leave free on the left.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=FAINT)
    for header in headers:
        table.add_column(header.upper(), overflow="fold")
    for line in lines:
        table.add_row(*line)
    if table.row_count:
        console.print(Padding(table, (0, 0, 0, indent)) if indent else table)


def gap(console: Console) -> None:
    """Leave a line free."""
    console.print()
