"""The whole command tree: nothing without its sentence and its example, nothing imported before it is needed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from nksmesh.cli.app import COMMANDS, make_app
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell

COMMON = {
    "--kubeconfig",
    "--context",
    "--helm",
    "--namespace",
    "--output",
    "--quiet",
    "--verbose",
    "--no-color",
    "--debug",
}


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, node
    if isinstance(node, TyperGroup):
        for name in node.commands:
            yield from walk(node.commands[name], (*path, name))


TREE = list(walk(get_command(make_app())))
NODES = [pytest.param(node, id=" ".join(path) or "nksmesh") for path, node in TREE]
LEAVES = [pytest.param(node, id=" ".join(path)) for path, node in TREE if not isinstance(node, TyperGroup)]


@pytest.mark.parametrize("node", NODES)
def test_it_says_what_it_is_for(node: Any) -> None:
    assert node.help
    assert "Args:" not in node.help
    assert "Raises:" not in node.help


@pytest.mark.parametrize("node", NODES)
def test_every_option_and_argument_has_a_sentence(node: Any) -> None:
    for param in node.params:
        assert param.help, f"{param.opts} has no help"
        assert len(param.help.split()) > 1, f"{param.opts}: {param.help!r} is no sentence"


@pytest.mark.parametrize("node", NODES)
def test_the_help_of_a_flag_names_no_value(node: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said = typer.Context(node, info_name="x").get_help() + capsys.readouterr().out  # Typer prints it, with rich
    assert "--help" in said
    assert "<bool>" not in said


@pytest.mark.parametrize("node", LEAVES)
def test_every_command_has_an_example_that_begins_with_its_own_name(node: Any) -> None:
    assert "Example" in (node.epilog or "")
    lines = [line for line in node.epilog.split("\n\n") if line.startswith("$ ")]
    assert lines
    assert any(f" {node.name}" in line for line in lines)


@pytest.mark.parametrize("node", LEAVES)
def test_every_command_has_the_common_options(node: Any) -> None:
    assert {option for param in node.params for option in param.opts} >= COMMON


@pytest.mark.parametrize("node", NODES)
def test_no_option_is_declared_twice(node: Any) -> None:
    options = [option for param in node.params for option in (*param.opts, *param.secondary_opts)]
    assert len(options) == len(set(options))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_names_modules_that_are_there(name: str) -> None:
    assert importlib.util.find_spec(COMMANDS[name])


def test_a_command_remains_the_function_that_it_was() -> None:
    seen: list[tuple[Shell, int]] = []

    @command(command_group(), examples=["nksmesh probe"])
    def probe(shell: Shell, size: int = 1) -> None:
        seen.append((shell, size))

    probe(Shell(command="probe"), size=2)
    assert seen == [(Shell(command="probe"), 2)]


def test_shared_options_come_as_one_value() -> None:
    seen: list[tuple[str, int, bool]] = []

    def sizes(width: int = 1, height: int = 2) -> tuple[int, int]:
        return width, height

    app = command_group()

    @command(app, shared=sizes, examples=["nksmesh probe"])
    def probe(shell: Shell, size: tuple[int, int], deep: bool = False) -> None:
        seen.append((shell.command, size[0] * size[1], deep))

    assert get_command(app).main(["probe", "--width", "3", "--deep"], standalone_mode=False) is None
    assert seen == [("probe", 6, True)]


def test_a_commands_exit_is_its_own() -> None:
    app = command_group()

    @command(app, examples=["nksmesh probe"])
    def probe(_shell: Shell) -> None:
        raise typer.Exit(10)

    assert get_command(app).main(["probe"], standalone_mode=False) == 10
