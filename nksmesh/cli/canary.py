"""``nksmesh canary``: a later istiod beside the mesh's own, tried namespace by namespace, then promoted or given up."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import CanaryOptions, RevisionOptions, revision_settings, settings_of
from nksmesh.cli.options import DryRun, Shell, Yes
from nksmesh.cli.run import run_agreed, run_on
from nksmesh.domain.common.errors import ConfigError

app = command_group(
    "Run a newer istiod beside the current one: start it, move namespaces to it, then promote or abort."
)


@command(
    app,
    shared=CanaryOptions,
    examples=[
        "nksmesh canary start --to 1.22.8 --hub registry.example.com/istio",
        "nksmesh canary start -e prod --to 1.22.8 --dry-run",
    ],
)
def start(shell: Shell, options: CanaryOptions, dry_run: DryRun = False) -> None:
    """Install a newer istiod as an Istio revision beside the current one, at most two minor versions ahead.

    CRDs and base are upgraded; the old istiod, the gateways and the workloads are not touched. Nothing uses the new
    istiod until you move a namespace to it.
    """
    from nksmesh.commands.canary import start as workflow

    request, where = settings_of(shell, options)

    run_on(shell, where, lambda runtime: workflow.start(request, runtime, dry_run=dry_run))


@command(app, shared=RevisionOptions, examples=["nksmesh canary status", "nksmesh canary status -e prod -o json"])
def status(shell: Shell, options: RevisionOptions) -> None:
    """Show which istiod each namespace uses, and which proxy its workloads and the gateways run."""
    from nksmesh.commands.canary import status as workflow

    _, where = revision_settings(shell, options)

    run_on(shell, where, lambda runtime: workflow.status(runtime.cluster, where.namespace))


@command(
    app,
    shared=RevisionOptions,
    examples=["nksmesh canary move shop payment", "nksmesh canary move --all --yes", "nksmesh canary move --back shop"],
)
def move(
    shell: Shell,
    options: RevisionOptions,
    namespaces: Annotated[
        list[str] | None, typer.Argument(metavar="NAMESPACE...", help="The namespaces to move.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="All namespaces that use the mesh's own istiod; with --back, all that were moved."),
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Move the namespaces back to where they were.")] = False,
    yes: Yes = False,
) -> None:
    """Move namespaces to the canary: change their labels, and restart their injected workloads.

    Workloads are restarted one by one, within their disruption budgets; nksmesh waits until each is ready.
    """
    from nksmesh.commands.canary import move as workflow

    if bool(namespaces) == everything:
        raise ConfigError(
            "no namespaces were given",
            hint="Name the namespaces, or pass --all. Run nksmesh canary status to list them.",
        )
    _, where = revision_settings(shell, options)

    run_agreed(
        shell,
        where,
        make=lambda runtime: workflow.plan_move(
            namespaces or (), runtime.cluster, runtime.helm, where.namespace, everything=everything, back=back
        ),
        question="Move these namespaces?",
        undone=workflow.MoveResult,
        follow=lambda plan, runtime: workflow.move(plan, runtime, back=back),
        yes=yes,
    )


@command(
    app,
    shared=RevisionOptions,
    examples=["nksmesh canary promote", "nksmesh canary promote --restart-workloads --yes"],
)
def promote(
    shell: Shell,
    options: RevisionOptions,
    restart_workloads: Annotated[
        bool,
        typer.Option(
            "--restart-workloads", help="Also restart workloads that use the default istiod and were not moved."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Continue even if workloads still run the old istiod's proxy.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make the canary the mesh's own istiod, and remove the old one.

    The default tag, the validator and the gateways change to the canary first. Moved namespaces get their former
    labels back, which then select the new istiod. Gateways keep their names and addresses.
    """
    from nksmesh.commands.canary import promote as workflow
    from nksmesh.commands.canary.plan import CanaryResult

    request, where = revision_settings(shell, options)

    run_agreed(
        shell,
        where,
        make=lambda runtime: workflow.plan_promote(
            runtime.cluster, where.namespace, restart=restart_workloads, force=force
        ),
        question="Promote the canary?",
        undone=CanaryResult,
        follow=lambda plan, runtime: workflow.promote(plan, request, runtime),
        yes=yes,
    )


@command(app, shared=RevisionOptions, examples=["nksmesh canary abort", "nksmesh canary abort -e prod --yes"])
def abort(
    shell: Shell,
    options: RevisionOptions,
    force: Annotated[
        bool, typer.Option("--force", help="Continue even if workloads still run the canary's proxy.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Move the namespaces back, restart their workloads, and remove the canary.

    CRDs and base keep the newer version.
    """
    from nksmesh.commands.canary import abort as workflow
    from nksmesh.commands.canary.plan import CanaryResult

    request, where = revision_settings(shell, options)

    run_agreed(
        shell,
        where,
        make=lambda runtime: workflow.plan_abort(runtime.cluster, where.namespace, force=force),
        question="Remove the canary?",
        undone=CanaryResult,
        follow=lambda plan, runtime: workflow.abort(plan, request, runtime),
        yes=yes,
    )
