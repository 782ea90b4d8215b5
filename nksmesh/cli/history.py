"""``nksmesh history`` and ``rollback``: what runs did to the mesh, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory, EnvironmentName, Timeout, Yes, timeout_seconds
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import confirm, perform, run, show

if TYPE_CHECKING:
    from nksmesh.commands.rollback.plan import RollbackPlan
    from nksmesh.commands.rollback.rollback import RollbackResult
    from nksmesh.domain.common.events import Listener
    from nksmesh.domain.plan.history import Run
    from nksmesh.engine.runs.history import HistoryResult

app = command_group()


@command(app, examples=["nksmesh history", "nksmesh history -e prod --limit 3 -v", "nksmesh history -o json"])
def history(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many runs to show.")] = 10,
) -> None:
    """Show the runs that wrote to the mesh: when, by whom, from which version to which, and how each ended.

    With -v also which releases each moved, and what was seen of a failure.
    """
    from nksmesh.engine.runs.history import show_history  # noqa: PLC0415 - only what a command uses is imported

    where, namespace = wiring.target_of_mesh(shell, environment, wiring.files(directory))

    async def work(_listener: Listener) -> HistoryResult:
        async with wiring.tools(shell, where) as tools:
            found = await show_history(tools.cluster, namespace, limit=limit)
            return replace(found, runs=tuple(_redacted(one) for one in found.runs))

    run(shell, work)


@command(app, examples=["nksmesh rollback", "nksmesh rollback -e prod --to-run 4 --yes"])
def rollback(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    to_run: Annotated[
        int | None,
        typer.Option("--to-run", metavar="N", min=1, help="Go back to how this run left the mesh.", show_default=False),
    ] = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Bring the mesh back to what it was before the last run, or before the runs that did not reach their end.

    Shows the plan and asks. Each release goes back to its Helm revision of then: istiod, then behind its webhook base
    and the gateways, whose pods are restarted onto the old proxy. CRDs stay.
    """
    from nksmesh.commands.rollback import rollback as workflow  # noqa: PLC0415 - only what a command uses is imported
    from nksmesh.commands.rollback.plan import plan_rollback  # noqa: PLC0415
    from nksmesh.engine.waiting import WaitOptions  # noqa: PLC0415

    where, namespace = wiring.target_of_mesh(shell, environment, wiring.files(directory))
    waits = WaitOptions(component=timeout_seconds(timeout))

    async def make(listener: Listener) -> RollbackPlan:
        async with wiring.tools(shell, where) as tools:
            return await plan_rollback(tools.cluster, tools.helm, namespace, to_run=to_run, listener=listener)

    plan = perform(shell, make)
    plan = replace(plan, way=replace(plan.way, runs=tuple(_redacted(one) for one in plan.way.runs)))
    shell.report.preview(plan)
    if not confirm("Roll back?", yes=yes):
        show(shell, workflow.RollbackResult(plan=plan, agreed=False))
        return

    async def work(listener: Listener) -> RollbackResult:
        async with wiring.tools(shell, where) as tools:
            done = await workflow.rollback(
                plan,
                tools.cluster,
                tools.helm,
                tools.processes,
                to_run=to_run,
                waits=waits,
                listener=listener,
            )
            return replace(done, plan=replace(done.plan, way=plan.way))

    run(shell, work)


def _redacted(one: Run) -> Run:
    """Leave out what looks like a secret in what other programs said of a failure."""
    from nksmesh.report.redaction import redact  # noqa: PLC0415 - only what a command uses is imported

    return replace(one, reason=redact(one.reason), evidence=redact(one.evidence))
