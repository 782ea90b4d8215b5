"""``nksmesh status``: the mesh that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory, EnvironmentName
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run_on

if TYPE_CHECKING:
    from nksmesh.commands.status import StatusResult
    from nksmesh.engine.runtime import Runtime

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

    where, namespace = wiring.target_of_mesh(shell, environment, wiring.files(directory))

    async def work(runtime: Runtime) -> StatusResult:
        found = await workflow(runtime.cluster, runtime.helm, namespace)
        return replace(found, asked_for_exit_code=exit_code)

    run_on(shell, where, work)
