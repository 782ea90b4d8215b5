"""``nksmesh install``, ``plan`` and ``template``: the mesh, what it would take, and what it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import ClearPending, RollbackOnFailure
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import ApplyOptions, MeshOptions, order_of, target_of, wait_options_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.commands.install import InstallResult
    from nksmesh.commands.plan import PlanResult, TemplateResult
    from nksmesh.domain.common.events import Listener

app = command_group()


@command(
    app,
    shared=ApplyOptions,
    examples=[
        "nksmesh install --region kr1",
        "nksmesh install -e prod --timeout 10m",
        "nksmesh install --region kr2 --network private --profile demo --charts ./charts",
    ],
)
def install(
    shell: Shell,
    options: ApplyOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and change nothing.")] = False,
    rollback_on_failure: RollbackOnFailure = False,
    yes: ClearPending = False,
) -> None:
    """Install the mesh, or bring it to what is asked for: each component is proved ready before the next needs it.

    What is not given is as installed. A second run changes nothing; a run that was interrupted is picked up.
    """
    from nksmesh.commands import install as workflow  # noqa: PLC0415 - only what a command uses is imported

    files = wiring.files(options.directory)
    order = order_of(shell, options, files)
    waits, where = wait_options_of(options), target_of(shell, order, files)

    async def work(listener: Listener) -> InstallResult:
        async with wiring.tools(shell, where) as tools:
            return await workflow.install(
                order,
                tools.cluster,
                tools.helm,
                tools.charts,
                tools.processes,
                waits=waits,
                dry_run=dry_run,
                listener=listener,
                rollback_on_failure=rollback_on_failure,
                clear_pending=yes,
            )

    run(shell, work)


@command(
    app,
    shared=ApplyOptions,
    examples=["nksmesh plan", "nksmesh plan -e prod --to 1.20.1 --diff", "nksmesh plan -e prod --exit-code -q"],
)
def plan(
    shell: Shell,
    options: ApplyOptions,
    to: Annotated[
        str, typer.Option("--to", metavar="X.Y.Z", help="Show what upgrade would do: manifests of both versions.")
    ] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show manifests, old against new.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 where install would change something.")
    ] = False,
) -> None:
    """Show what install would do, step by step with the reason, and change nothing; with --to, what upgrade would do.

    With -v it tells for every value which layer set it.
    """
    from nksmesh.commands.plan import preview  # noqa: PLC0415 - only what a command uses is imported

    if to and options.version:
        raise ConfigError("--to and --version contradict each other", hint="Leave one of them out.")
    files = wiring.files(options.directory)
    order = order_of(shell, replace(options, version=to) if to else options, files)
    order = replace(order, allow_version_change=bool(to))
    where = target_of(shell, order, files)

    async def work(listener: Listener) -> PlanResult:
        async with wiring.tools(shell, where) as tools:
            return await preview(
                order, tools.cluster, tools.helm, tools.charts, diff=diff, exit_code=exit_code, listener=listener
            )

    run(shell, work)


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh template --region kr1 --profile demo > istio.yaml",
        "nksmesh template -e prod --charts ./charts",
    ],
)
def template(shell: Shell, options: MeshOptions) -> None:
    """Write the manifests that install would apply to stdout, in its order, Namespace and CRDs included.

    No cluster is asked. Applied in one go, gateways can come before the webhook answers, and then stay without a
    proxy until their pods are deleted: install waits for the proof instead.
    """
    from nksmesh.commands.plan import template as workflow  # noqa: PLC0415 - only what a command uses is imported

    order = order_of(shell, options, wiring.files(options.directory))

    async def work(listener: Listener) -> TemplateResult:
        return await workflow(order, wiring.offline_helm(shell), wiring.chart_store(), listener=listener)

    run(shell, work)
