"""``nksmesh install``: the mesh, or what is asked for of it."""

from __future__ import annotations

from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import InstallOptions, settings_of
from nksmesh.cli.options import ClearPending, DryRun, RollbackOnFailure, Shell
from nksmesh.cli.run import run_on

app = command_group()


@command(
    app,
    shared=InstallOptions,
    examples=[
        "nksmesh install --region kr1",
        "nksmesh install -e prod --timeout 10m",
        "nksmesh install --region kr2 --network private --profile demo --charts ./charts",
    ],
)
def install(
    shell: Shell,
    options: InstallOptions,
    dry_run: DryRun = False,
    rollback_on_failure: RollbackOnFailure = False,
    yes: ClearPending = False,
) -> None:
    """Install the mesh, or bring it to the requested state. Each component must be ready before the next one starts.

    Omitted options keep their installed values. If nothing differs, nothing is changed; an interrupted run is resumed.
    """
    from nksmesh.commands import install as workflow

    request, where = settings_of(shell, options)

    run_on(
        shell,
        where,
        lambda runtime: workflow.install(
            request, runtime, dry_run=dry_run, rollback_on_failure=rollback_on_failure, clear_pending=yes
        ),
    )
