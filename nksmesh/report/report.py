"""A command's report: its progress on stderr, its result on stdout, its failure on both as the output asks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TextIO

from nksmesh.domain.common.errors import ConfigError, MeshError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.spelling import counted
from nksmesh.report.documents import json_text, yaml_text
from nksmesh.report.envelope import Result, envelope, error_envelope, errors_of, warnings_of
from nksmesh.report.progress import ProgressLines, WarningLines
from nksmesh.report.redaction import redact
from nksmesh.report.streams import write_err, write_out
from nksmesh.report.text import show

_COLLECTED: ContextVar[Collected | None] = ContextVar("collected", default=None)

DETAIL_LINES: Final = 20
"""Lines of a tool's own words that are shown; the last ones, for tools end with what failed. ``-v`` shows all."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What the commands of a block had to show.

    Attributes:
        silent: It is collected, and not shown.
    """

    silent: bool
    results: list[Result] = field(default_factory=list)
    errors: list[MeshError] = field(default_factory=list)


@contextmanager
def collecting(*, silent: bool) -> Iterator[Collected]:
    """Collect results and errors of the commands inside the block, for a command that is made of others."""
    collected = Collected(silent=silent)
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)


class Output(StrEnum):
    """What stdout gets."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, kw_only=True)
class Report:
    """How one command speaks.

    Attributes:
        command: Its name as a user types it, such as ``charts fetch``.
    """

    command: str
    output: Output = Output.TEXT
    quiet: bool = False
    verbose: bool = False
    color: bool = True
    _previewed: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Show progress while the context lasts: a live table on a terminal, else a line an event; quiet, warnings."""
        if self.quiet:
            yield WarningLines(write_err)
        elif self.output is Output.TEXT and _is_terminal():
            from nksmesh.report.live import LiveSteps  # noqa: PLC0415 - 62 ms with rich, for terminals only

            with LiveSteps(color=self.color, verbose=self.verbose) as listener:
                yield listener
        else:
            yield ProgressLines(write_err, verbose=self.verbose)

    def prepare(self) -> None:
        """Import what lays results out, for a command that waits for the cluster and has the time."""
        if self.output is Output.TEXT:
            import rich.table  # noqa: F401, PLC0415 - what most of a result's import time goes into

    def show(self, result: Result) -> None:
        """Show what a command came to; warnings that ``preview`` has shown are not said again.

        Raises:
            ConfigError: Stdout cannot be written.
        """
        if (collected := _COLLECTED.get()) is not None:
            collected.results.append(result)
            collected.errors.extend(errors_of(result))
            if collected.silent:
                return
        try:
            if self.output is Output.TEXT:
                self._show_text(result)
            else:
                write_out(self._document(envelope(self.command, result)))
        finally:
            for error in errors_of(result) if collected is None else ():
                self._tell_error(error)

    def failed(self, error: MeshError) -> None:
        """Show what ended a command: always on stderr, and as the envelope where stdout gets one."""
        if (collected := _COLLECTED.get()) is not None:
            collected.errors.append(error)  # shown by the command that the block is of
            return
        if self.output is not Output.TEXT:
            try:
                write_out(self._document(error_envelope(self.command, error)))
            except ConfigError as unwritten:
                if unwritten.message != error.message:
                    error.add_note(f"also failed: {unwritten.message}")
        self._tell_error(error)

    def preview(self, result: Result) -> None:
        """Show on stderr what is about to be asked about, whatever stdout gets at the end."""
        laid_out = self._laid_out(result, sys.stderr)
        self._previewed.append(laid_out)
        write_err(laid_out)

    def say(self, sentence: str) -> None:
        """Say something on stderr that is no part of the result."""
        write_err(f"{redact(sentence)}\n")

    def _show_text(self, result: Result) -> None:
        write_out(self._laid_out(result, sys.stdout))
        said = "".join("".join(self._previewed).split())  # lines are broken where a terminal ends
        for warning in map(redact, warnings_of(result)):
            if "".join(warning.split()) not in said:
                self.say(f"warning: {warning}")

    def _laid_out(self, result: Result, stream: TextIO) -> str:
        from nksmesh.report.layout import make_console  # noqa: PLC0415 - rich takes 37 ms to import

        console = make_console(stream, color=self.color)
        with console.capture() as captured:
            document = show(result, console, verbose=self.verbose)
        # A table fills its last column with spaces, which nobody wants in a file.
        laid_out = "\n".join(line.rstrip() for line in captured.get().split("\n"))
        return laid_out + document

    def _document(self, data: Mapping[str, Any]) -> str:
        return yaml_text(data) if self.output is Output.YAML else json_text(data)

    def _tell_error(self, error: MeshError) -> None:
        lines = error_lines(error, verbose=self.verbose)
        if self.color and _is_terminal():
            lines = [_coloured(line) for line in lines]
        write_err("".join(f"{line}\n" for line in lines))


def error_lines(error: MeshError, *, verbose: bool = False) -> list[str]:
    """Return an error as the lines that stderr gets.

    Args:
        verbose: Show all of the tool's own words.
    """
    message, *more = redact(error.message).splitlines() or [""]
    lines = [f"error: {message}", *(f"  {line}" for line in more)]
    lines += [f"  {redact(note)}" for note in getattr(error, "__notes__", ())]
    lines += [f"  | {line}" if line else "  |" for line in _detail(redact(error.detail), verbose=verbose)]
    if error.hint:
        lines.append(f"hint: {redact(error.hint)}")
    return lines


def _detail(text: str, *, verbose: bool) -> list[str]:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if verbose or len(lines) <= DETAIL_LINES:
        return lines
    left_out = len(lines) - DETAIL_LINES
    return [f"({counted(left_out, 'more line')} above; -v shows them)", *lines[-DETAIL_LINES:]]


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def _coloured(line: str) -> str:
    for label, code in (("error:", "1;31"), ("hint:", "1;36")):
        if line.startswith(label):
            return f"\x1b[{code}m{label}\x1b[0m{line.removeprefix(label)}"
    return line
