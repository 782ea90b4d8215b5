"""``nksmesh gateway``: where the mesh's gateways are reached, and what they answer."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import AddressWait, Directory, EnvironmentName, GatewayName, Shell
from nksmesh.cli.run import run_on

app = command_group("Find the address of a gateway, ask it for a page, and see why it does not answer.")


@command(app, "list", examples=["nksmesh gateway list", "nksmesh gateway list -o json"])
def list_(shell: Shell, environment: EnvironmentName = "", directory: Directory = None) -> None:
    """List the gateways: their Services, addresses and ports, and Gateway objects that nobody can connect to."""
    from nksmesh.commands.gateway import list_gateways

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))

    run_on(shell, where, lambda runtime: list_gateways(runtime, where.namespace))


@command(
    app,
    examples=[
        "nksmesh gateway url",
        "nksmesh gateway url --wait 4m --check /productpage",
        'eval "$(nksmesh gateway url --shell)"',
    ],
)
def url(
    shell: Shell,
    gateway: GatewayName = "",
    port: Annotated[str, typer.Option("--port", metavar="NAME", help="The Service's port: http2 or https.")] = "http2",
    wait: AddressWait = "",
    node_port: Annotated[
        bool, typer.Option("--node-port", help="Print a node's address, not the load balancer's.")
    ] = False,
    check: Annotated[
        str, typer.Option("--check", metavar="PATH", help="Ask the address for this path. Exit with 6 if it fails.")
    ] = "",
    host: Annotated[
        str, typer.Option("--host", metavar="NAME", help="The host name that --check asks for. Default: the address.")
    ] = "",
    shell_variables: Annotated[
        bool, typer.Option("--shell", help="Print INGRESS_HOST, INGRESS_PORT and the like, for eval in a shell.")
    ] = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Print the URL of a gateway.

    It has the load balancer's address. On a private network without one it is a node's address and port, as the NKS
    guide computes it.
    """
    from nksmesh.commands.gateway import UrlOrder, gateway_url

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))
    order = UrlOrder(
        gateway=gateway,
        port=port,
        wait=targets.timeout_seconds(wait) if wait else 0.0,
        by_node=node_port,
        check=check,
        host=host,
        shell=shell_variables,
    )

    run_on(
        shell,
        where,
        lambda runtime: gateway_url(order, runtime, where.namespace, wiring.pages(runtime.cluster.context)),
    )
