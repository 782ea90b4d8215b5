"""``nksmesh check``: a cluster before an install, and a mesh after it."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, settings_to_check
from nksmesh.cli.options import PlainHttp, RegistryConfig, Shell
from nksmesh.cli.run import run_on

app = command_group()


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh check --pre --hub HOST/REGISTRY/istio",
        "nksmesh check -e prod --wait 5m",
        "nksmesh check --only network --only cluster.capacity",
        "nksmesh check --skip registry -o json",
    ],
)
def check(
    shell: Shell,
    options: MeshOptions,
    pre: Annotated[bool, typer.Option("--pre", help="Leave out the checks of an installed mesh.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Show only this check or group. Can be repeated.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="NAME", help="Leave out this check or group. Can be repeated.")
    ] = None,
    wait: Annotated[
        str,
        typer.Option("--wait", metavar="DURATION", help="Check again until nothing fails, at most for 5m."),
    ] = "",
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Check that a mesh can be installed on this cluster, and that an installed one works. Nothing is written.

    Each check has an id that stays the same, a result (ok, warning or failure), and the command that helps. The groups
    are tools, cluster, network, registry, region, mesh, namespaces and after-install. Exits with 7 if a check fails.
    """
    from nksmesh.commands.check import Choice
    from nksmesh.commands.check import check as workflow
    from nksmesh.domain.common.durations import parse_duration

    choice = Choice(before=pre, only=tuple(only or ()), skip=tuple(skip or ()))
    choice.check()
    seconds = parse_duration(wait, "--wait") if wait else 0.0
    request, where = settings_to_check(shell, options, registry_config, plain_http)

    run_on(shell, where, lambda runtime: workflow(request, runtime, choice, wait=seconds))
