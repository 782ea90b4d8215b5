"""``nksmesh upgrade``: the installed mesh to another version, a minor at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import UpgradeOptions, settings_of
from nksmesh.cli.options import ClearPending, RollbackOnFailure, Shell
from nksmesh.cli.run import run_on
from nksmesh.domain.common.errors import ConfigError

app = command_group()


@command(
    app,
    shared=UpgradeOptions,
    examples=[
        "nksmesh plan --to 1.20.1 --diff",
        "nksmesh upgrade --to 1.20.1 --hub registry.example.com/istio",
        "nksmesh upgrade -e prod --to 1.24.6 --step",
        "nksmesh upgrade -e prod --to 1.24.6 --all --restart-workloads",
    ],
)
def upgrade(
    shell: Shell,
    options: UpgradeOptions,
    step: Annotated[bool, typer.Option("--step", help="Take only the first of several steps.")] = False,
    whole: Annotated[bool, typer.Option("--all", help="Take all steps, with a health check after each.")] = False,
    restart_workloads: Annotated[
        bool,
        typer.Option(
            "--restart-workloads", help="Restart workloads that run another proxy, within their disruption budgets."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan of the first step, and change nothing.")
    ] = False,
    rollback_on_failure: RollbackOnFailure = False,
    yes: ClearPending = False,
) -> None:
    """Change the installed mesh to another version, in place: CRDs, base, istiod, its webhook, then the gateways.

    Istio is upgraded one minor version at a time; a longer upgrade shows its steps first. Omitted options keep their
    installed values. A downgrade may be one minor version, and leaves CRDs as they are. Workloads keep their old proxy
    until they are restarted.
    """
    from nksmesh.commands.upgrade import upgrade as workflow
    from nksmesh.commands.upgrade.path import UpgradeExtent, UpgradeOptions

    if step and whole:
        raise ConfigError("--step and --all contradict each other", hint="Leave one of them out.")
    request, where = settings_of(shell, options)
    travel = UpgradeOptions(
        way=UpgradeExtent.ALL if whole else UpgradeExtent.STEP if step else UpgradeExtent.ASK,
        restart_workloads=restart_workloads,
        dry_run=dry_run,
        rollback_on_failure=rollback_on_failure,
        clear_pending=yes,
    )

    run_on(shell, where, lambda runtime: workflow.upgrade(request, travel, runtime))
