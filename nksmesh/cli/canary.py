"""``nksmesh canary``: a later istiod beside the mesh's own, tried namespace by namespace, then promoted or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Yes
from nksmesh.cli.canary_options import RevisionOptions, meant
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import CanaryOptions, order_of, target_of, wait_options_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import agreed, perform, run, show
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nksmesh.commands.canary.ending import EndPlan, EndResult
    from nksmesh.commands.canary.move import MovePlan, MoveResult
    from nksmesh.commands.canary.start import StartResult, Tools
    from nksmesh.commands.canary.status import CanaryStatus
    from nksmesh.domain.common.events import Listener
    from nksmesh.engine.request import MeshRequest
    from nksmesh.engine.waiting import WaitOptions

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
    from nksmesh.commands.canary import start as workflow  # noqa: PLC0415 - only what a command uses is imported

    files = wiring.files(options.directory)
    order = order_of(shell, options, files)
    waits, where = wait_options_of(options), target_of(shell, order, files)

    async def work(listener: Listener) -> StartResult:
        async with wiring.tools(shell, where) as tools:
            return await workflow.start(order, canary_tools(tools, waits, listener), dry_run=dry_run)

    run(shell, work)


@command(app, shared=RevisionOptions, examples=["nksmesh canary status", "nksmesh canary status -e prod -o json"])
def status(shell: Shell, options: RevisionOptions) -> None:
    """Show which istiod each namespace follows, and which proxy its workloads and the gateways run."""
    from nksmesh.commands.canary import status as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def work(_listener: Listener) -> CanaryStatus:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.status(tools.cluster, said.namespace)

    run(shell, work)


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
    from nksmesh.commands.canary import move as workflow  # noqa: PLC0415 - only what a command uses is imported

    if bool(namespaces) == everything:
        raise ConfigError("name the namespaces, or pass --all", hint="nksmesh canary status lists them.")
    said = meant(shell, options)

    async def make(_listener: Listener) -> MovePlan:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.plan_move(
                namespaces or (), tools.cluster, tools.helm, said.namespace, everything=everything, back=back
            )

    plan = perform(shell, make)
    if plan.empty:
        show(shell, workflow.MoveResult(plan=plan))
        return
    if not agreed(shell, plan, "Move them?", yes=yes):
        show(shell, workflow.MoveResult(plan=plan, agreed=False))
        return

    async def work(listener: Listener) -> MoveResult:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.move(plan, tools.cluster, back=back, waits=said.waits, listener=listener)

    run(shell, work)


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
    from nksmesh.commands.canary import promote as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def make(_listener: Listener) -> EndPlan:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.plan_promotion(tools.cluster, said.namespace, restart=restart_workloads, force=force)

    plan = perform(shell, make)
    _end(shell, plan, yes=yes, question="Promote it?", end=_at(shell, plan, said.order, said.waits, said.where))


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
    from nksmesh.commands.canary import abort as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def make(_listener: Listener) -> EndPlan:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.plan_abandonment(tools.cluster, said.namespace, force=force)

    plan = perform(shell, make)
    _end(shell, plan, yes=yes, question="Remove it?", end=_at(shell, plan, said.order, said.waits, said.where))


def _at(
    shell: Shell, plan: EndPlan, order: MeshRequest, waits: WaitOptions, where: wiring.Target
) -> Callable[[Listener], Awaitable[EndResult]]:
    """Make the workflow that ends a canary as its plan says."""

    async def work(listener: Listener) -> EndResult:
        from nksmesh.commands.canary import abort, promote  # noqa: PLC0415 - only what a command uses is imported

        async with wiring.tools(shell, where) as tools:
            end = promote.promote if plan.promote else abort.abandon
            return await end(plan, order, canary_tools(tools, waits, listener))

    return work


def _end(
    shell: Shell, plan: EndPlan, *, yes: bool, question: str, end: Callable[[Listener], Awaitable[EndResult]]
) -> None:
    """Show how a canary would end, ask, and end it."""
    from nksmesh.commands.canary.ending import EndResult  # noqa: PLC0415 - only what a command uses is imported

    if not agreed(shell, plan, question, yes=yes):
        show(shell, EndResult(plan=plan, agreed=False))
        return
    run(shell, end)


def canary_tools(tools: wiring.Tools, waits: WaitOptions, listener: Listener) -> Tools:
    """Hand a workflow on Istio revisions what it works with."""
    from nksmesh.commands.canary.start import Tools as CanaryTools  # noqa: PLC0415 - only what a command uses is imported

    return CanaryTools(
        cluster=tools.cluster,
        helm=tools.helm,
        charts=tools.charts,
        processes=tools.processes,
        waits=waits,
        listener=listener,
    )
