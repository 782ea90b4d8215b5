"""``nksmesh dashboard``: Kiali and other pages of the cluster, on a port of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell
from nksmesh.cli.run import run
from nksmesh.domain.addons.dashboards import DASHBOARDS
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE

if TYPE_CHECKING:
    from nksmesh.commands.dashboard import DashboardClosed
    from nksmesh.domain.common.events import Listener

app = command_group()

_MOST: Final = 65_535


@command(
    app,
    examples=[
        "nksmesh dashboard kiali",
        "nksmesh dashboard kiali --port 8080 --address 0.0.0.0 --no-browser",
        "nksmesh dashboard productpage -n default",
    ],
)
def dashboard(
    shell: Shell,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"{', '.join(DASHBOARDS)}, or the name of any other Service.")
    ],
    port: Annotated[
        str,
        typer.Option(
            "--port",
            metavar="PORT",
            help="The port of this machine; 0 takes any that is free. Default: the port of the pod.",
        ),
    ] = "",
    address: Annotated[
        str,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Where this machine listens; 0.0.0.0 lets other machines in.",
        ),
    ] = "127.0.0.1",
    service_port: Annotated[
        str,
        typer.Option(
            "--service-port", metavar="PORT", help="The Service's port, by name or number. Default: its first one."
        ),
    ] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Forward a port of this machine to Kiali or another Service, and open its page, until Ctrl-C.

    The connections go through the API server (pods/portforward). When the pod is replaced, new connections go to the
    new one. The Service is in the control plane's namespace, or in the one that -n names.
    """
    from nksmesh.commands.dashboard import DashboardOrder, forward_dashboard

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))
    order = DashboardOrder(
        name=name,
        namespace=where.namespace or ISTIO_NAMESPACE,
        service_port=service_port,
        address=address,
        port=_number(port) if port else None,
    )

    async def work(listener: Listener) -> DashboardClosed:
        async with wiring.cluster(where) as cluster:
            show = None if no_browser else wiring.open_page
            return await forward_dashboard(order, cluster, wiring.local_ports(), show, listener=listener)

    run(shell, work)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST:
        raise ConfigError(f"--port {text} is no port", hint=f"Pass a number from 0 to {_MOST}, such as --port 8080.")
    return int(text)
