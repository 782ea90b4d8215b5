"""``nksmesh plan`` and ``template``: what an install would do, and the manifests that it would apply."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import ApplyOptions, MeshOptions, request_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run, run_on
from nksmesh.domain.common.errors import ConfigError

app = command_group()


@command(
    app,
    shared=ApplyOptions,
    examples=["nksmesh plan", "nksmesh plan -e prod --to 1.20.1 --diff", "nksmesh plan -e prod --exit-code -q"],
)
def plan(
    shell: Shell,
    options: ApplyOptions,
    to: Annotated[str, typer.Option("--to", metavar="X.Y.Z", help="Show what upgrade to this version would do.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show the manifests' differences, old against new.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 if install would change anything.")
    ] = False,
) -> None:
    """Show what install would do, step by step with reasons, and change nothing; with --to, what upgrade would do.

    With -v, also show which layer set each value.
    """
    from nksmesh.commands.plan import preview

    if to and options.version:
        raise ConfigError("--to and --version contradict each other", hint="Leave one of them out.")
    files = wiring.files(options.directory)
    request = request_of(shell, replace(options, version=to) if to else options, files)
    request = replace(request, allow_version_change=bool(to))
    where = replace(targets.target(shell, request.environment, files.folder), offline=options.offline)

    run_on(shell, where, lambda runtime: preview(request, runtime, diff=diff, exit_code=exit_code))


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh template --region kr1 --profile demo > istio.yaml",
        "nksmesh template -e prod --charts ./charts",
    ],
)
def template(shell: Shell, options: MeshOptions) -> None:
    """Print the manifests that install would apply, in its order, including the Namespace and the CRDs.

    The cluster is not read. If you apply them all at once, gateways may start before the webhook answers, and then
    stay without a proxy until you delete their pods. nksmesh install waits for the webhook first.
    """
    from nksmesh.commands.plan import template as workflow

    request = request_of(shell, options, wiring.files(options.directory))
    run(
        shell,
        lambda listener: workflow(
            request, wiring.offline_helm(shell), wiring.chart_store(shell, offline=options.offline), listener=listener
        ),
    )
