"""Commands of the tests' own, and the real program with them in its command tree: ``python slow_command.py slow``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nksmesh.cli.app import COMMANDS
from nksmesh.cli.command import command, command_group
from nksmesh.cli.main import main
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run
from nksmesh.domain.common.events import Event, EventKind

if TYPE_CHECKING:
    from nksmesh.domain.common.events import Listener

app = command_group()


@dataclass(frozen=True)
class Lines:
    """A result of many lines."""

    def json_form(self) -> dict[str, object]:
        """Return more than a pipe holds."""
        return {f"line{number}": "x" * 100 for number in range(5000)}


@command(app, examples=["nksmesh slow"])
def slow(shell: Shell) -> None:
    """Do one step, then wait for ever; half a second of tidying up cannot be hurried."""

    async def work(listener: Listener) -> Lines:
        listener(Event(step="base", kind=EventKind.DONE))
        listener(Event(step="istiod", kind=EventKind.STARTED))
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.5)
            listener(Event(step="istiod", kind=EventKind.NOTE, message="Helm ended cleanly"))
        return Lines()

    run(shell, work)


@command(app, examples=["nksmesh broken"])
def broken(_shell: Shell) -> None:
    """Have a bug."""
    message = "unforeseen"
    raise LookupError(message)


@command(app, examples=["nksmesh long"])
def long(shell: Shell) -> None:
    """Say much."""

    async def work(_listener: Listener) -> Lines:
        return Lines()

    run(shell, work)


@command(app, examples=["nksmesh brief"])
def brief(shell: Shell) -> None:
    """Do one step."""

    async def work(listener: Listener) -> Lines:
        for step in ("base", "istiod"):
            listener(Event(step=step, kind=EventKind.STARTED))
            listener(Event(step=step, kind=EventKind.DONE))
        return Lines()

    run(shell, work)


if __name__ == "__main__":
    COMMANDS.update(dict.fromkeys(("slow", "broken", "long", "brief"), "slow_command"))
    main()
