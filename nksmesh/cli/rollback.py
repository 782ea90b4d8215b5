"""``nksmesh rollback``: the mesh as it was before a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.history import redacted
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Timeout, Yes
from nksmesh.cli.run import run_agreed

if TYPE_CHECKING:
    from nksmesh.commands.rollback.plan import RollbackPlan
    from nksmesh.commands.rollback.rollback import RollbackResult
    from nksmesh.engine.runtime import Runtime

app = command_group()


@command(app, examples=["nksmesh rollback", "nksmesh rollback -e prod --to-run 4 --yes"])
def rollback(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    to_run: Annotated[
        int | None,
        typer.Option("--to-run", metavar="N", min=1, help="Return to the state after this run.", show_default=False),
    ] = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Return the mesh to its state before the last run, or before the latest runs that did not finish.

    Shows the plan, and asks. Each release returns to its earlier Helm revision: istiod first, then, once its webhook
    is verified, base and the gateways, whose pods are restarted with the old proxy. CRDs stay.
    """
    from nksmesh.commands.rollback import rollback as workflow
    from nksmesh.commands.rollback.plan import plan_rollback

    where = targets.target_of_mesh(shell, environment, wiring.files(directory), timeout=timeout)

    async def make(runtime: Runtime) -> RollbackPlan:
        plan = await plan_rollback(runtime, where.namespace, to_run=to_run)
        return replace(plan, way=replace(plan.way, runs=tuple(redacted(run) for run in plan.way.runs)))

    async def follow(plan: RollbackPlan, runtime: Runtime) -> RollbackResult:
        done = await workflow.rollback(plan, runtime, to_run=to_run)
        return replace(done, plan=replace(done.plan, way=plan.way))

    run_agreed(
        shell,
        where,
        make=make,
        question="Roll back?",
        undone=workflow.RollbackResult,
        follow=follow,
        yes=yes,
    )
