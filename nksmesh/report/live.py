"""Progress on a terminal: a live table of the steps, with elapsed time and what each waits for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.report.layout import make_console
from nksmesh.report.progress import sentence
from nksmesh.report.redaction import redact

REFRESHES_PER_SECOND: Final = 8
_SPARE_LINES: Final = 2
_NARROW: Final = 50
"""Columns below which a step's sentence has a better use for the room than its time has."""

_TIME: Final = 6

_MARKS: Final = {
    EventKind.DONE: ("✔", "+", "green"),
    EventKind.KEPT: ("-", "-", "dim"),
    EventKind.FAILED: ("✘", "x", "red"),
}


@dataclass
class _Row:
    """One step as the table has it."""

    step: str
    begun: float
    kind: EventKind = EventKind.STARTED
    said: str = ""
    ended: float | None = None
    warned: bool = False

    def hear(self, event: Event, now: float, *, verbose: bool = False) -> None:
        """Take in what happened to the step."""
        if event.kind is EventKind.WARNING:
            self.warned = True
            return
        if event.kind not in {EventKind.NOTE, EventKind.PROGRESS}:
            self.kind = event.kind
        message = " ".join(redact(event.message).split())
        if event.kind is EventKind.WAITING:
            self.said = sentence(event, verbose=verbose)
        elif message or event.kind in _MARKS:
            self.said = message
        self.ended = now if event.kind in _MARKS else None


class LiveSteps:
    """A listener and a context: the table lives while the context lasts, and its last state stays on the screen."""

    def __init__(
        self,
        *,
        color: bool = True,
        verbose: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or make_console(sys.stderr, color=color)
        self._verbose = verbose
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._over = False
        self._spinner = Spinner("line" if self._console.options.ascii_only else "dots", style="cyan")
        self._live = Live(
            self, console=self._console, refresh_per_second=REFRESHES_PER_SECOND, redirect_stdout=False, transient=False
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state, every step of it, and give the terminal back."""
        self._over = True
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take an event in; warnings, and notes with ``-v``, are printed above the table for good."""
        now = self._clock()
        row = self._rows.setdefault(event.step, _Row(event.step, now))
        row.hear(event, now, verbose=self._verbose)
        if event.kind is EventKind.WARNING or (self._verbose and event.kind is EventKind.NOTE):
            style = "yellow" if event.kind is EventKind.WARNING else "dim"
            self._live.console.print(Text(f"{event.step}: {sentence(event)}", style=style), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the table out: at the end in full, until then as many steps as the terminal has lines."""
        rows = list(self._rows.values())
        height = options.height or console.height
        room = max(3, height - _SPARE_LINES)
        if not self._over and len(rows) > room:
            shown = _most_telling(rows, room - 1)
            ended = sum(row.ended is not None for row in rows)
            yield Text(f"{ended} of {len(rows)} steps ended; {len(rows) - len(shown)} not shown", style="dim")
            rows = shown
        if rows:
            yield self._table(rows, options)

    def _table(self, rows: list[_Row], options: ConsoleOptions) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        longest = max(len(row.step) for row in rows)
        table.add_column(no_wrap=True, overflow="ellipsis", width=min(longest, max(8, options.max_width // 3)))
        timed = options.max_width >= _NARROW
        if timed:
            table.add_column(justify="right", no_wrap=True, style="dim", width=_TIME)
        table.add_column(no_wrap=not self._over, overflow="fold" if self._over else "ellipsis", ratio=1)
        for row in rows:
            elapsed = spoken((row.ended if row.ended is not None else self._clock()) - row.begun)
            style = "yellow" if row.warned and row.ended is None else ("red" if row.kind is EventKind.FAILED else "")
            cells = [Text(row.step), *([Text(elapsed)] if timed else []), Text(row.said, style=style)]
            table.add_row(self._mark(row, options), *cells)
        return table

    def _mark(self, row: _Row, options: ConsoleOptions) -> Text | Spinner:
        if row.kind in _MARKS:
            mark, plain, style = _MARKS[row.kind]
            return Text(plain if options.ascii_only else mark, style=style)
        return Text("·" if not options.ascii_only else ".", style="dim") if self._over else self._spinner


def _most_telling(rows: list[_Row], room: int) -> list[_Row]:
    """Choose the steps to show where not all fit: those under way, then those that ended last; in their order."""
    under_way = [row for row in rows if row.ended is None]
    ended = sorted((row for row in rows if row.ended is not None), key=lambda row: row.ended or 0.0, reverse=True)
    chosen = {row.step for row in [*under_way, *ended][:room]}
    return [row for row in rows if row.step in chosen]
