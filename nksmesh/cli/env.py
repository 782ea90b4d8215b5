"""``nksmesh env``: the environments."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import run, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, Shell

app = command_group("List and show environments: the meshes described in values/environments/.")


@command(app, "list", examples=["nksmesh env list"])
def list_(shell: Shell, directory: Directory = None) -> None:
    """List the environments: your own, and those that ship with nksmesh."""
    from nksmesh.commands.env import list_environments

    run.show(shell, list_environments(wiring.files(directory).mesh))


@command(app, examples=["nksmesh env show sandbox"])
def show(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The environment's name (the name of its folder).")],
    directory: Directory = None,
) -> None:
    """Show an environment: its mesh.yaml, and its values for each component."""
    from nksmesh.commands.env import show_environment

    run.show(shell, show_environment(wiring.files(directory).mesh, name))
