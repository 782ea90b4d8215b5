"""``nksmesh inject``: namespaces whose pods get a proxy, and why one has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Timeout, Yes
from nksmesh.cli.run import run_agreed, run_on

if TYPE_CHECKING:
    from nksmesh.commands.inject import InjectionOrder

app = command_group(
    "Namespaces whose pods istiod injects: label them, restart their workloads, and see who has a proxy."
)

NAMESPACES = Annotated[list[str], typer.Argument(metavar="NAMESPACE...", help="The namespaces.")]
RESTART = Annotated[
    bool, typer.Option("--restart", help="Also restart the workloads, one by one, within their disruption budgets.")
]


@command(
    app,
    examples=[
        "nksmesh inject enable default",
        "nksmesh inject enable shop payment --restart --yes",
        "nksmesh inject enable shop --revision prod",
    ],
)
def enable(
    shell: Shell,
    namespaces: NAMESPACES,
    revision: Annotated[
        str,
        typer.Option("--revision", metavar="REV", help="An Istio revision or a tag. Default: the mesh's own istiod."),
    ] = "",
    restart: RESTART = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Have istiod inject the pods of namespaces.

    Each gets one label: istio-injection=enabled, or istio.io/rev where the mesh's istiod is not the default one. A
    label that selects something else is replaced. Pods get a proxy when they are created: running ones at the next
    restart.
    """
    from nksmesh.commands.inject import InjectionOrder

    order = InjectionOrder(namespaces=tuple(namespaces), on=True, choice=revision, restart=restart)
    _change(shell, order, targets.target_of_mesh(shell, environment, wiring.files(directory), timeout=timeout), yes=yes)


@command(app, examples=["nksmesh inject disable shop", "nksmesh inject disable shop --restart --yes"])
def disable(
    shell: Shell,
    namespaces: NAMESPACES,
    restart: RESTART = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Remove the injection labels of namespaces.

    Running pods keep their proxy until they are restarted.
    """
    from nksmesh.commands.inject import InjectionOrder

    order = InjectionOrder(namespaces=tuple(namespaces), on=False, restart=restart)
    _change(shell, order, targets.target_of_mesh(shell, environment, wiring.files(directory), timeout=timeout), yes=yes)


@command(
    app, examples=["nksmesh inject status", "nksmesh inject status shop -o json", "nksmesh inject status --exit-code"]
)
def status(
    shell: Shell,
    namespaces: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMESPACE...]", help="The namespaces. Default: all that have injection."),
    ] = None,
    environment: EnvironmentName = "",
    directory: Directory = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 7 if pods are not as the labels of their namespace say.")
    ] = False,
) -> None:
    """Show for each workload whether its pods have a proxy and, if not, why."""
    from nksmesh.commands.inject import status as workflow

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))

    run_on(
        shell,
        where,
        lambda runtime: workflow(tuple(namespaces or ()), runtime.cluster, asked_for_exit_code=exit_code),
    )


def _change(shell: Shell, order: InjectionOrder, where: targets.Target, *, yes: bool) -> None:
    from nksmesh.commands import inject as workflow

    run_agreed(
        shell,
        where,
        make=lambda runtime: workflow.plan_inject(order, runtime.cluster, runtime.helm, where.namespace),
        question="Change the injection of these namespaces?",
        undone=workflow.InjectResult,
        follow=lambda plan, runtime: workflow.inject(plan, order, runtime),
        yes=yes,
    )
