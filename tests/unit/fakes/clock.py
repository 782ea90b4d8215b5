"""An event loop that does not wait: when nothing is left to do, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class TimelessLoop(asyncio.SelectorEventLoop):
    """Runs minutes of waiting in no time, in the order in which they would pass."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Return the seconds that have passed on this loop's own clock."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let seconds pass."""
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: TimelessLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, Any]] = super().select(0)
        if found:
            return found
        if timeout is None:
            raise AssertionError("everything waits, and nothing is left that could end it")
        self._loop.jump(timeout)
        return []
