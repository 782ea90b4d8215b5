"""``nksmesh traffic``: recipes for one Service or namespace, and what really happens to its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Yes
from nksmesh.cli.run import perform_on, run, run_agreed, show
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nksmesh.commands.traffic.change import Order
    from nksmesh.commands.traffic.recipes import RecipeList
    from nksmesh.commands.traffic.show import TrafficShown
    from nksmesh.domain.common.events import Listener
    from nksmesh.domain.traffic.recipes import Applied, Recipe

app = command_group("Traffic of one Service: split, route, limit, protect and measure its requests.")

_DEFAULT_NAMESPACE: Final = "default"
_SHIFT: Final = "shift"
_LEAST_SECONDS: Final = 0.1

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="The Service's name; '*' for all pods of the namespace, where allowed.")
]
Settings = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="The recipe's parameters, such as timeout=2s.")
]
Write = Annotated[bool, typer.Option("--write", help="Apply it to the cluster, after the differences and a question.")]


@command(app, examples=["nksmesh traffic recipes", "nksmesh traffic recipes circuit-breaker"])
def recipes(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="[RECIPE]", help="The recipe to show with its parameters.")] = "",
    directory: Directory = None,
) -> None:
    """List the recipes, or show one with its parameters. No cluster is asked."""
    from nksmesh.commands.traffic.recipes import list_recipes

    known = wiring.files(directory).mesh.recipes()

    async def work(_listener: Listener) -> RecipeList:
        return list_recipes(known, name)

    run(shell, work)


@command(
    app,
    examples=[
        "nksmesh traffic apply timeout reviews timeout=2s",
        "nksmesh traffic apply header reviews header=end-user value=jason to=v2 -n default",
        "nksmesh traffic apply mutual-tls '*' mode=STRICT -n shop --write",
    ],
)
def apply(
    shell: Shell,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe: see nksmesh traffic recipes.")],
    service: Service,
    settings: Settings = None,
    write: Write = False,
    yes: Yes = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Apply a recipe to a Service: print the YAML for your repository, or write it with --write.

    Recipes that stand on the Service already stay, and become one VirtualService and one DestinationRule with it.
    nksmesh writes only objects that it has made itself.
    """
    from nksmesh.domain.traffic.recipes import applied, find_recipe

    files = wiring.files(directory)
    known = files.mesh.recipes()
    new = applied(find_recipe(recipe, known), settings or ())
    _change(shell, environment, files, known, _order(shell, service, new=new, write=write), yes=yes)


@command(
    app,
    examples=[
        "nksmesh traffic shift reviews v1=80 v2=20",
        "nksmesh traffic shift reviews v1=0 v2=100 -n default --write",
    ],
)
def shift(
    shell: Shell,
    service: Service,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="VERSION=PERCENT...", help="The percentage of each version; together 100."),
    ] = None,
    write: Write = False,
    yes: Yes = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Split a Service's requests between its versions: the recipe shift.

    A version is the label version of the Service's pods.
    """
    apply(shell, _SHIFT, service, settings, write, yes, environment, directory)


@command(app, examples=["nksmesh traffic reset reviews", "nksmesh traffic reset reviews timeout --write"])
def reset(
    shell: Shell,
    service: Service,
    recipe: Annotated[str, typer.Argument(metavar="[RECIPE]", help="The recipe to take away. Default: all.")] = "",
    write: Write = False,
    yes: Yes = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Take one recipe or all away from a Service: print what is left, or write it with --write."""
    files = wiring.files(directory)
    known = files.mesh.recipes()
    _change(shell, environment, files, known, _order(shell, service, reset=recipe, write=write), yes=yes)


@command(
    app,
    name="show",
    examples=["nksmesh traffic show", "nksmesh traffic show reviews", "nksmesh traffic show reviews --live 30s"],
)
def show_(
    shell: Shell,
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="The Service. Default: all that a recipe is applied to.")
    ] = "",
    live: Annotated[
        str,
        typer.Option("--live", metavar="DURATION", help="Count requests for so long, and show the split they had."),
    ] = "",
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Show the recipes that stand on a Service, and with --live the split that really happens.

    --live asks the proxies of all callers before and after, through the API server (pods/portforward). It needs no
    metrics stack. Each share and error rate comes with its 95 % interval.
    """
    from nksmesh.commands.traffic.show import show_traffic
    from nksmesh.domain.common.durations import parse_duration

    files = wiring.files(directory)
    known = files.mesh.recipes()
    if live and service in {"", "*"}:
        raise ConfigError("--live needs a Service", hint="Example: nksmesh traffic show reviews --live 30s")
    seconds = parse_duration(live, "--live", least=_LEAST_SECONDS) if live else None
    namespace = shell.namespace or _DEFAULT_NAMESPACE

    where = targets.target_of_mesh(shell, environment, files)

    async def work(listener: Listener) -> TrafficShown:
        async with wiring.cluster(where) as cluster:  # without Helm: it would take longer than the answer
            return await show_traffic(service, namespace, known, cluster, seconds=seconds, listener=listener)

    run(shell, work)


def _order(shell: Shell, service: str, *, new: Applied | None = None, reset: str = "", write: bool) -> Order:
    from nksmesh.commands.traffic.change import Order

    namespace = shell.namespace or _DEFAULT_NAMESPACE
    return Order(service=service, namespace=namespace, new=new, reset=reset, write=write)


def _change(
    shell: Shell, environment: str, files: wiring.Files, known: Mapping[str, Recipe], order: Order, *, yes: bool
) -> None:
    """Print what an order comes to, or show it, ask, and write it."""
    from nksmesh.commands.traffic.change import TrafficResult, plan_traffic, write_traffic

    where = targets.target_of_mesh(shell, environment, files)
    if not order.write:
        show(shell, TrafficResult(plan=perform_on(shell, where, lambda runtime: plan_traffic(order, known, runtime))))
        return

    run_agreed(
        shell,
        where,
        make=lambda runtime: plan_traffic(order, known, runtime),
        question=f"Write this to namespace {order.namespace}?",
        undone=TrafficResult,
        follow=lambda plan, runtime: write_traffic(plan, order, known, runtime),
        yes=yes,
    )
