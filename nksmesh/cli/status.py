"""``nksmesh status``: the mesh that is there."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell
from nksmesh.cli.run import run_on

app = command_group()


@command(app, examples=["nksmesh status", "nksmesh status -e prod -o json", "nksmesh status -e prod --exit-code -q"])
def status(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 6 if the mesh is not ready or does not exist.")
    ] = False,
) -> None:
    """Show the mesh: its releases and their versions, readiness, images, hub and gateway addresses."""
    from nksmesh.commands.status import status as workflow

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))

    run_on(
        shell,
        where,
        lambda runtime: workflow(runtime.cluster, runtime.helm, where.namespace, asked_for_exit_code=exit_code),
    )
