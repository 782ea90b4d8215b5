"""``nksmesh init``: a starter for a repository of one's own meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import show

app = command_group()


@command(app, examples=["nksmesh init meshes"])
def init(
    shell: Shell,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write to. It is created if it does not exist.")
    ],
) -> None:
    """Write a commented starter for a repository of your own meshes. Existing files are not overwritten."""
    from nksmesh.commands.env import write_starter

    show(shell, write_starter(wiring.files(None).mesh, folder))
