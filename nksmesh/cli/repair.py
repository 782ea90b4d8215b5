"""``nksmesh repair``: what differs from the releases is put back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.drift import redacted
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Timeout, Yes
from nksmesh.cli.run import run_agreed

if TYPE_CHECKING:
    from nksmesh.commands.repair.repair import RepairPlan, RepairResult
    from nksmesh.engine.runtime import Runtime

app = command_group()


@command(
    app,
    examples=["nksmesh repair", "nksmesh repair --yes Deployment/istiod ConfigMap/istio-system/istio-sidecar-injector"],
)
def repair(
    shell: Shell,
    objects: Annotated[
        list[str] | None,
        typer.Argument(metavar="OBJECT", help="Kind/name or Kind/namespace/name. Default: everything that differs."),
    ] = None,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Restore objects that differ from their Helm releases, one by one, as Helm itself would write them.

    Shows what differs, and asks. Missing objects are recreated. nksmesh waits until new pods are ready, and restarts
    gateways only once istiod's webhook is verified. The Helm releases stay as they are.
    """
    from nksmesh.commands.repair import repair as workflow

    files = wiring.files(directory)
    where = targets.target_of_mesh(shell, environment, files, timeout=timeout)
    lock, named = files.lock.read(), tuple(objects or ())

    async def make(runtime: Runtime) -> RepairPlan:
        plan = await workflow.plan_repair(runtime, where.namespace, lock=lock, objects=named)
        return replace(plan, survey=redacted(plan.survey))

    async def follow(plan: RepairPlan, runtime: Runtime) -> RepairResult:
        done = await workflow.repair(plan, runtime, lock=lock, objects=named)
        return replace(done, plan=replace(done.plan, survey=redacted(done.plan.survey)))

    run_agreed(
        shell,
        where,
        make=make,
        question="Restore all of this?",
        undone=workflow.RepairResult,
        follow=follow,
        yes=yes,
    )
