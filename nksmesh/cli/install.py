"""``nksmesh install``: the mesh, or what is asked for of it."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import ClearPending, RollbackOnFailure
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import ApplyOptions, order_of, target_of, wait_options_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run_on

app = command_group()


@command(
    app,
    shared=ApplyOptions,
    examples=[
        "nksmesh install --region kr1",
        "nksmesh install -e prod --timeout 10m",
        "nksmesh install --region kr2 --network private --profile demo --charts ./charts",
    ],
)
def install(
    shell: Shell,
    options: ApplyOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")] = False,
    rollback_on_failure: RollbackOnFailure = False,
    yes: ClearPending = False,
) -> None:
    """Install the mesh, or bring it to the requested state. Each component must be ready before the next one starts.

    Omitted options keep their installed values. If nothing differs, nothing is changed; an interrupted run is resumed.
    """
    from nksmesh.commands import install as workflow

    files = wiring.files(options.directory)
    order = order_of(shell, options, files)
    waits, where = wait_options_of(options), target_of(shell, order, files)

    run_on(
        shell,
        where,
        lambda runtime: workflow.install(
            order, runtime, dry_run=dry_run, rollback_on_failure=rollback_on_failure, clear_pending=yes
        ),
        waits=waits,
    )
