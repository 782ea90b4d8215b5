"""``nksmesh canary``: a later istiod beside the mesh's own, tried namespace by namespace, then promoted or given up."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Yes
from nksmesh.cli.canary_options import RevisionOptions, meant
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import CanaryOptions, order_of, target_of, wait_options_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run_agreed, run_on
from nksmesh.domain.common.errors import ConfigError

app = command_group("A later istiod beside the mesh's own: start, move namespaces to it, promote or abort.")


@command(
    app,
    shared=CanaryOptions,
    examples=[
        "nksmesh canary start --to 1.22.8 --hub registry.example.com/istio",
        "nksmesh canary start -e prod --to 1.22.8 --dry-run",
    ],
)
def start(
    shell: Shell,
    options: CanaryOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and change nothing.")] = False,
) -> None:
    """Install a later istiod as an Istio revision beside the mesh's own, at most two minors ahead.

    CRDs and base go to the new version; the old istiod, the gateways and the workloads are not touched. Nothing uses
    the new istiod until a namespace is moved to it.
    """
    from nksmesh.commands.canary import start as workflow

    files = wiring.files(options.directory)
    order = order_of(shell, options, files)
    waits, where = wait_options_of(options), target_of(shell, order, files)

    run_on(shell, where, lambda runtime: workflow.start(order, runtime, dry_run=dry_run), waits=waits)


@command(app, shared=RevisionOptions, examples=["nksmesh canary status", "nksmesh canary status -e prod -o json"])
def status(shell: Shell, options: RevisionOptions) -> None:
    """Show which istiod each namespace follows, and which proxy its workloads and the gateways run."""
    from nksmesh.commands.canary import status as workflow

    said = meant(shell, options)

    run_on(shell, said.where, lambda runtime: workflow.status(runtime.cluster, said.namespace))


@command(
    app,
    shared=RevisionOptions,
    examples=["nksmesh canary move shop payment", "nksmesh canary move --all --yes", "nksmesh canary move --back shop"],
)
def move(
    shell: Shell,
    options: RevisionOptions,
    namespaces: Annotated[list[str] | None, typer.Argument(metavar="NAMESPACE...", help="The namespaces.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that follow the mesh's own istiod; with --back, all that were moved.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Back to where they were.")] = False,
    yes: Yes = False,
) -> None:
    """Move namespaces to the canary: label them, and restart what istiod has injected in them.

    Workloads are restarted one after the other, within their disruption budgets, each watched until it is ready.
    """
    from nksmesh.commands.canary import move as workflow

    if bool(namespaces) == everything:
        raise ConfigError("name the namespaces, or pass --all", hint="nksmesh canary status lists them.")
    said = meant(shell, options)

    run_agreed(
        shell,
        said.where,
        make=lambda runtime: workflow.plan_move(
            namespaces or (), runtime.cluster, runtime.helm, said.namespace, everything=everything, back=back
        ),
        question="Move them?",
        undone=workflow.MoveResult,
        follow=lambda plan, runtime: workflow.move(plan, runtime, back=back),
        yes=yes,
        waits=said.waits,
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
        typer.Option("--restart-workloads", help="Restart workloads that follow the default and were not moved."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where workloads keep the proxy of the istiod that goes.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make the canary the mesh's own istiod: default tag, validator, gateways; then the old istiod goes.

    Moved namespaces get the labels they had, which mean the new istiod now; gateways keep their names and addresses.
    """
    from nksmesh.commands.canary import promote as workflow
    from nksmesh.commands.canary.ending import EndResult

    said = meant(shell, options)

    run_agreed(
        shell,
        said.where,
        make=lambda runtime: workflow.plan_promotion(
            runtime.cluster, said.namespace, restart=restart_workloads, force=force
        ),
        question="Promote it?",
        undone=EndResult,
        follow=lambda plan, runtime: workflow.promote(plan, said.order, runtime),
        yes=yes,
        waits=said.waits,
    )


@command(app, shared=RevisionOptions, examples=["nksmesh canary abort", "nksmesh canary abort -e prod --yes"])
def abort(
    shell: Shell,
    options: RevisionOptions,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where workloads keep the proxy of the canary, which goes.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove the canary: moved namespaces go back and are restarted, then it goes. CRDs and base stay newer."""
    from nksmesh.commands.canary import abort as workflow
    from nksmesh.commands.canary.ending import EndResult

    said = meant(shell, options)

    run_agreed(
        shell,
        said.where,
        make=lambda runtime: workflow.plan_abandonment(runtime.cluster, said.namespace, force=force),
        question="Remove it?",
        undone=EndResult,
        follow=lambda plan, runtime: workflow.abandon(plan, said.order, runtime),
        yes=yes,
        waits=said.waits,
    )
