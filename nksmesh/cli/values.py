"""``nksmesh values``: what releases get above their charts' defaults, and from where."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, request_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run, run_on

app = command_group("Show the values of each release, and the layer that set each key.")


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh values show istiod -e sandbox",
        "nksmesh values show gateway service --region kr1 --profile demo",
        "nksmesh values show istiod --installed",
    ],
)
def show(
    shell: Shell,
    options: MeshOptions,
    component: Annotated[
        str,
        typer.Argument(metavar="COMPONENT", help="base, istiod, gateway (all gateways), or the name of one release."),
    ],
    key: Annotated[str, typer.Argument(metavar="KEY", help="Show only this key and what is below it.")] = "",
    installed: Annotated[
        bool, typer.Option("--installed", help="Read the cluster: omitted options keep their installed values.")
    ] = False,
) -> None:
    """Show the values of a component's releases, and the layer that set each key.

    The cluster is read only with --installed.
    """
    from nksmesh.commands.values import ValuesQuestion, show_values

    files = wiring.files(options.directory)
    request = request_of(shell, options, files)
    where = targets.target(shell, request.environment, files.folder) if installed else None
    question = ValuesQuestion(target=component, request=request, key=key)

    if where is None:
        run(shell, lambda _: show_values(question, None))
    else:
        run_on(shell, where, lambda runtime: show_values(question, runtime.cluster))
