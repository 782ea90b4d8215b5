"""The command line run in the test's own process, and someone who answers its questions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nksmesh.cli.main import run_command_line

if TYPE_CHECKING:
    import pytest


@dataclass
class Outcome:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """What stdout has, all of which must be one JSON document."""
        document: dict[str, Any] = json.loads(self.out)
        return document


class CommandLine:
    """The command line: ``program("status", "-o", "json")``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Outcome:
        self._capsys.readouterr()
        code = run_command_line(arguments)
        captured = self._capsys.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)


class Terminal:
    """Someone at a keyboard."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer
