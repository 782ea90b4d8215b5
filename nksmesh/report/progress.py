"""Progress where there is no terminal: one timestamped line an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.report.redaction import redact

_PROGRESS_SECONDS: Final = 5.0


def sentence(event: Event, *, verbose: bool = False) -> str:
    """Put an event into words, without its step; empty where there is nothing to say. Names are for ``-v``."""
    names = f": {', '.join(event.names)}" if verbose and event.names else ""
    message = " ".join(redact(event.message + names).split())
    match event.kind:
        case EventKind.WAITING:
            return f"waiting for {message.removeprefix('waiting for ')}" if message else "waiting"
        case EventKind.NOTE | EventKind.PROGRESS:
            return message
        case _:
            return f"{event.kind.value}: {message}" if message else event.kind.value


class WarningLines:
    """A listener that writes warnings alone, each once: what nobody must miss, whoever wants no progress."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._said: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it is a warning that was not written before."""
        line = f"warning: {event.step}: {' '.join(redact(event.message).split())}\n"
        if event.kind is EventKind.WARNING and line not in self._said:
            self._said.add(line)
            self._write(line)


class ProgressLines:
    """A listener that writes a line an event, and none twice in a row for the same step."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        verbose: bool = False,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._verbose = verbose
        self._now = now
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._last: dict[str, str] = {}
        self._told: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it says something new."""
        said = sentence(event, verbose=self._verbose)
        if event.kind is EventKind.STARTED:
            self._begun[event.step] = self._clock()
        elif not said or self._last.get(event.step) == said or self._too_soon(event):
            return
        self._last[event.step] = said
        if event.kind in {EventKind.DONE, EventKind.FAILED} and event.step in self._begun:
            said = said.replace(event.kind.value, f"{event.kind.value} after {self._elapsed(event.step)}", 1)
        self._write(f"{self._now():%H:%M:%S} {event.step}: {said}\n")

    def _too_soon(self, event: Event) -> bool:
        """Tell whether a line of progress would follow the last one of its step too soon: a file keeps them all."""
        if event.kind is not EventKind.PROGRESS:
            return False
        now = self._clock()
        last = self._told.get(event.step, self._begun.get(event.step, 0.0))
        if now - last >= _PROGRESS_SECONDS:
            self._told[event.step] = now
            return False
        return True

    def _elapsed(self, step: str) -> str:
        return spoken(self._clock() - self._begun[step])
