"""``nksmesh status`` and ``uninstall``: the mesh that is there, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory, EnvironmentName
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import confirm, perform, run, show

if TYPE_CHECKING:
    from nksmesh.domain.events import Listener
    from nksmesh.workflows.status import StatusResult
    from nksmesh.workflows.uninstall import UninstallPlan, UninstallResult

app = command_group()


@command(app, examples=["nksmesh status", "nksmesh status -e prod -o json"])
def status(shell: Shell, environment: EnvironmentName = "", directory: Directory = None) -> None:
    """Show the mesh: releases and versions, whether each is ready, images and hub in use, gateway addresses."""
    from nksmesh.workflows.status import status as workflow  # noqa: PLC0415 - only what a command uses is imported

    where, namespace = _cluster(shell, environment, directory)

    async def work(_listener: Listener) -> StatusResult:
        async with wiring.tools(shell, where) as tools:
            return await workflow(tools.cluster, tools.helm, namespace)

    run(shell, work)


@command(app, examples=["nksmesh uninstall", "nksmesh uninstall -e sandbox --purge --yes"])
def uninstall(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the CRDs with all Istio objects, the mesh's CA and namespace, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long each release may take to go.")
    ] = "5m",
) -> None:
    """Remove the mesh: gateways, then istiod, then base; says what goes, asks, and says what it leaves.

    Without --purge it leaves the CRDs with your Istio objects, the mesh's CA (istio-ca-secret) and the namespace.
    """
    from nksmesh.domain.durations import parse_duration  # noqa: PLC0415 - only what a command uses is imported
    from nksmesh.workflows import uninstall as workflow  # noqa: PLC0415

    where, namespace = _cluster(shell, environment, directory)
    seconds = parse_duration(timeout, "--timeout", least=1.0)

    async def make(_listener: Listener) -> UninstallPlan:
        async with wiring.tools(shell, where) as tools:
            return await workflow.plan_uninstall(tools.cluster, namespace, purge=purge)

    plan = perform(shell, make)
    if plan.empty:
        show(shell, workflow.UninstallResult.of_nothing(plan))
        return
    if not yes:
        shell.report.preview(plan)
        if not confirm("Remove all of this?", yes=yes):
            show(shell, workflow.UninstallResult.of_nothing(plan, agreed=False))
            return

    async def work(listener: Listener) -> UninstallResult:
        async with wiring.tools(shell, where) as tools:
            return await workflow.uninstall(
                plan, tools.cluster, tools.helm, tools.processes, timeout=seconds, listener=listener
            )

    run(shell, work)


def _cluster(shell: Shell, environment: str, directory: Path | None) -> tuple[wiring.Target, str]:
    """Find the cluster and the control plane's namespace that the options mean."""
    files = wiring.files(directory)
    found = files.mesh.environment(environment) if environment else None
    namespace = shell.namespace or (found.namespace if found else "")
    return wiring.target(shell, found, files.folder), namespace
