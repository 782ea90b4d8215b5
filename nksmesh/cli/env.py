"""``nksmesh env``: the environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run

if TYPE_CHECKING:
    from nksmesh.commands.env import EnvironmentList, EnvironmentShown
    from nksmesh.domain.common.events import Listener

app = command_group("List and show environments: the meshes described in values/environments/.")


@command(app, "list", examples=["nksmesh env list"])
def list_(shell: Shell, directory: Directory = None) -> None:
    """List the environments: your own, and those that ship with nksmesh."""
    from nksmesh.commands.env import list_environments

    async def work(_listener: Listener) -> EnvironmentList:
        return list_environments(wiring.files(directory).mesh)

    run(shell, work)


@command(app, examples=["nksmesh env show sandbox"])
def show(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The environment's name (the name of its folder).")],
    directory: Directory = None,
) -> None:
    """Show an environment: its mesh.yaml, and its values for each component."""
    from nksmesh.commands.env import show_environment

    async def work(_listener: Listener) -> EnvironmentShown:
        return show_environment(wiring.files(directory).mesh, name)

    run(shell, work)
