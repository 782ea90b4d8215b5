"""``nksmesh status`` and ``uninstall``: the mesh that is there, and its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory, EnvironmentName, Yes, timeout_seconds
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import agreed, perform, run, show
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.commands.status import StatusResult
    from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult
    from nksmesh.domain.common.events import Listener

app = command_group()


@command(app, examples=["nksmesh status", "nksmesh status -e prod -o json", "nksmesh status -e prod --exit-code -q"])
def status(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 6 where the mesh is not ready, or not there.")
    ] = False,
) -> None:
    """Show the mesh: releases and versions, whether each is ready, images and hub in use, gateway addresses."""
    from nksmesh.commands.status import status as workflow  # noqa: PLC0415 - only what a command uses is imported

    where, namespace = wiring.target_of_mesh(shell, environment, wiring.files(directory))

    async def work(_listener: Listener) -> StatusResult:
        async with wiring.tools(shell, where) as tools:
            found = await workflow(tools.cluster, tools.helm, namespace)
            return replace(found, asked_for_exit_code=exit_code)

    run(shell, work)


@command(
    app,
    examples=[
        "nksmesh uninstall",
        "nksmesh uninstall -e sandbox --purge --yes",
        "nksmesh uninstall --purge --keep-crds",
        "nksmesh uninstall --revision 1-20-1",
    ],
)
def uninstall(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Remove the CRDs with all Istio objects, the mesh's CA, labels and namespace, too."
        ),
    ] = False,
    keep_crds: Annotated[
        bool, typer.Option("--keep-crds", help="With --purge: leave the CRDs with all Istio objects.")
    ] = False,
    revision: Annotated[
        str,
        typer.Option("--revision", metavar="REV", help="Remove one Istio revision's istiod and its tags, no more."),
    ] = "",
    yes: Yes = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long each release may take to go.")
    ] = "5m",
) -> None:
    """Remove the mesh: gateways, then istiod, then base; says what goes, asks, and says what it leaves.

    Without --purge it leaves the CRDs with your Istio objects, the mesh's CA (istio-ca-secret), namespaces and labels.
    Workloads keep their sidecars until they are restarted: they are listed, never touched.
    """
    from nksmesh.commands.uninstall import uninstall as workflow  # noqa: PLC0415 - only what a command uses is imported

    if revision and (purge or keep_crds):
        raise ConfigError(
            "--revision leaves the rest of the mesh, which needs what --purge removes",
            hint="Pass --revision alone; --purge is for the end of the whole mesh.",
        )
    where, namespace = wiring.target_of_mesh(shell, environment, wiring.files(directory))
    seconds = timeout_seconds(timeout)

    async def make(_listener: Listener) -> UninstallPlan:
        async with wiring.tools(shell, where) as tools:
            if revision:
                from nksmesh.commands.uninstall import revision as of_one  # noqa: PLC0415

                return await of_one.plan_revision(tools.cluster, namespace, revision, yes=yes)
            return await workflow.plan_uninstall(tools.cluster, namespace, purge=purge, keep_crds=keep_crds)

    plan = perform(shell, make)
    if plan.empty:
        show(shell, workflow.UninstallResult.of_nothing(plan))
        return
    if not agreed(shell, plan, "Remove all of this?", yes=yes):
        show(shell, workflow.UninstallResult.of_nothing(plan, agreed=False))
        return

    async def work(listener: Listener) -> UninstallResult:
        async with wiring.tools(shell, where) as tools:
            given = (plan, tools.cluster, tools.helm, tools.processes)
            if revision:
                from nksmesh.commands.uninstall import revision as of_one  # noqa: PLC0415

                return await of_one.uninstall_revision(*given, yes=yes, timeout=seconds, listener=listener)
            return await workflow.uninstall(*given, timeout=seconds, listener=listener)

    run(shell, work)
