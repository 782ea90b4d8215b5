"""A command of the tests' own, in the real command tree."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer

from nksmesh.cli import app as tree
from nksmesh.cli.command import command, command_group
from nksmesh.cli.main import run_command_line
from nksmesh.cli.options import Shell

Body = Callable[[Shell], None]


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


class Program:
    """The command line with two commands of the tests' own: ``probe`` and ``nest probe``; both run ``body``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.body: Body = lambda _shell: None
        self.sizes: list[int] = []

    def __call__(self, *arguments: str) -> Outcome:
        code = run_command_line(arguments)
        captured = self._capsys.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)

    def module(self, *, nested: bool) -> ModuleType:
        """Make the module that has the command."""
        app = command_group("A group." if nested else "")

        @command(app, examples=["nksmesh probe --size 3"])
        def probe(shell: Shell, size: Annotated[int, typer.Option("--size", help="A number.")] = 1) -> None:
            """Probe the shell."""
            self.sizes.append(size)
            self.body(shell)

        module = ModuleType("probe")
        module.app = app  # type: ignore[attr-defined]  # a module is made of attributes
        return module


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Provide the command line."""
    for name in ("NO_COLOR", "NKSMESH_HELM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    made = Program(capsys)
    for name, nested in (("probe", False), ("nest", True)):
        monkeypatch.setitem(sys.modules, f"command_{name}", made.module(nested=nested))
        monkeypatch.setitem(tree.COMMANDS, name, f"command_{name}")
    return made
