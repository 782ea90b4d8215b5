"""A command of the tests' own, in the real command tree."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer

from nksmesh.cli import app as tree
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from tests.unit.fakes.command_line import CommandLine

Body = Callable[[Shell], None]


class ProbedCommandLine(CommandLine):
    """The command line with two commands of the tests' own: ``probe`` and ``nest probe``; both run ``body``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(capsys)
        self.body: Body = lambda _shell: None
        self.sizes: list[int] = []

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
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> ProbedCommandLine:
    """Provide the command line."""
    for name in ("NO_COLOR", "NKSMESH_HELM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    made = ProbedCommandLine(capsys)
    for name, nested in (("probe", False), ("nest", True)):
        monkeypatch.setitem(sys.modules, f"command_{name}", made.module(nested=nested))
        monkeypatch.setitem(tree.COMMANDS, name, f"command_{name}")
    return made


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Provide the command line, which ends where a command would begin."""

    def end(*_: Any) -> None:
        raise typer.Exit

    monkeypatch.setattr("nksmesh.cli.command._command_name", end)  # what a command asks first
    return CommandLine(capsys)
