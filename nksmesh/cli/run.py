"""Run a workflow for a command: progress while it goes on, its result at the end, and a clean end on Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import typer

from nksmesh.cli import wiring
from nksmesh.cli.options import Shell
from nksmesh.domain.common.errors import ConfigError, InterruptedRunError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.report.envelope import Result, exit_code_of
from nksmesh.report.report import Report

if TYPE_CHECKING:
    from nksmesh.cli.targets import Target
    from nksmesh.engine.runtime import Runtime

T = TypeVar("T")
R = TypeVar("R", bound=Result)


class ShownPlan(Result, Protocol):
    """What a user is shown and asked about before it is done."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""


P = TypeVar("P", bound=ShownPlan)

_ENDINGS: Final = {EventKind.DONE, EventKind.KEPT}

_LONG_SECONDS: Final = 1.0
"""A workflow that takes longer waits for the cluster: time to get ready to show what it comes to."""


def run(shell: Shell, workflow: Callable[[Listener], Awaitable[R]]) -> None:
    """Run a workflow and show what it came to.

    Args:
        workflow: Starts the workflow, with who hears how it goes on.

    Raises:
        MeshError: Whatever the workflow raises; InterruptedRunError on Ctrl-C or SIGTERM.
        typer.Exit: The result asks for an exit code other than 0.
    """
    show(shell, perform(shell, workflow))


def perform(shell: Shell, workflow: Callable[[Listener], Awaitable[T]]) -> T:
    """Run a workflow and return what it came to, for a command that asks something before it goes on.

    Raises:
        MeshError: Whatever the workflow raises; InterruptedRunError on Ctrl-C or SIGTERM.
    """
    if not shell.debug:
        # Without a handler Python writes other packages' warnings straight into the live table.
        logging.getLogger().addHandler(logging.NullHandler())
    with shell.report.listening() as listener:
        return asyncio.run(_supervised(workflow, _Diary(listener), shell.report))


def run_on(shell: Shell, where: Target, workflow: Callable[[Runtime], Awaitable[R]]) -> None:
    """Run a workflow on a cluster and show what it came to.

    Raises:
        MeshError: The cluster cannot be reached, or as ``run`` says.
        typer.Exit: The result asks for an exit code other than 0.
    """
    show(shell, perform_on(shell, where, workflow))


def perform_on(shell: Shell, where: Target, workflow: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run a workflow on a cluster and return what it came to.

    Raises:
        MeshError: The cluster cannot be reached, or as ``perform`` says.
    """

    async def connected(listener: Listener) -> T:
        async with wiring.runtime(shell, where, listener) as runtime:
            return await workflow(runtime)

    return perform(shell, connected)


def run_agreed(
    shell: Shell,
    where: Target,
    *,
    make: Callable[[Runtime], Awaitable[P]],
    question: str,
    undone: Callable[..., Result],
    follow: Callable[[P, Runtime], Awaitable[Result]],
    yes: bool,
) -> None:
    """Show what would be done, ask, and do it: the form of every command that asks before it writes.

    Args:
        make: Makes the plan; it reads, and writes nothing.
        question: What is asked, without the ``[y/N]``.
        undone: Makes the result where nothing was done, of ``plan`` and ``agreed``: False where the user said no.
        follow: Follows the plan. It plans again behind the lease, and refuses what goes beyond what was shown.
        yes: ``--yes`` was given: nothing is shown or asked before.

    Raises:
        ConfigError: There is no terminal to ask on.
        MeshError: As ``make`` and ``follow`` say.
        typer.Exit: The result asks for an exit code other than 0.
    """
    plan = perform_on(shell, where, make)
    if plan.empty or not agreed(shell, plan, question, yes=yes):
        show(shell, undone(plan=plan, agreed=plan.empty))
    else:
        run_on(shell, where, lambda runtime: follow(plan, runtime))


def show(shell: Shell, result: Result) -> None:
    """Show a result.

    Raises:
        typer.Exit: It asks for an exit code other than 0.
    """
    shell.report.show(result)
    if code := exit_code_of(result):
        raise typer.Exit(code)


def agreed(shell: Shell, plan: Result, question: str, *, yes: bool) -> bool:
    """Show what would be done, and ask; with ``--yes`` neither.

    Raises:
        ConfigError: There is no terminal to ask on.
    """
    if not yes:
        shell.report.preview(plan)
    return confirm(question, yes=yes)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask before something goes that does not come back; never inside of a workflow, for nothing else would move.

    Args:
        question: What is asked, without the ``[y/N]``.
        yes: ``--yes`` was given: nothing is asked.

    Raises:
        ConfigError: There is no terminal to ask on.
    """
    from nksmesh.report.streams import write_err

    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(
            f"cannot ask for confirmation without a terminal: {question}", hint="Pass --yes to answer yes."
        )
    write_err(f"{question} [y/N] ")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        write_err("\n")
    return answer.strip().lower() in {"y", "yes"}


class _Diary:
    """Listens in between, to tell how far an interrupted run came whose workflow has no plan to tell it by."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._steps: dict[str, bool] = {}

    def __call__(self, event: Event) -> None:
        self._steps[event.step] = event.kind in _ENDINGS or (
            self._steps.get(event.step, False) and event.kind is not EventKind.STARTED
        )
        self._listener(event)

    def told(self) -> str:
        """Say what was done, and what was not."""
        done = [step for step, ended in self._steps.items() if ended]
        open_ = [step for step, ended in self._steps.items() if not ended]
        parts = (("done", done), ("not finished", open_))
        return "\n".join(f"{title}: {', '.join(steps)}" for title, steps in parts if steps)


async def _supervised(workflow: Callable[[Listener], Awaitable[T]], diary: _Diary, report: Report) -> T:
    """Await a workflow; the first SIGINT or SIGTERM cancels it, and the others find it winding down."""

    async def work() -> T:
        return await workflow(diary)

    task = asyncio.create_task(work())
    asked: list[str] = []

    def stop(name: str) -> None:
        asked.append(name)
        if len(asked) == 1:
            report.say(f"{name}: stopping after the current operation ends cleanly")
            task.cancel()
        else:
            report.say("already stopping: the current operation must end cleanly first")

    loop = asyncio.get_running_loop()
    preparing = loop.call_later(_LONG_SECONDS, loop.run_in_executor, None, report.prepare)
    for number, name in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
        loop.add_signal_handler(number, stop, name)
    try:
        return await task
    except (asyncio.CancelledError, InterruptedRunError) as stopped:
        if not asked:
            raise RuntimeError("the command was cancelled without an interrupt") from stopped
        detail = stopped.detail if isinstance(stopped, InterruptedRunError) else ""
        raise InterruptedRunError(
            f"interrupted by {asked[0]}",
            hint="Run the same command again to resume.",
            detail=detail or diary.told(),
        ) from None
    finally:
        preparing.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
