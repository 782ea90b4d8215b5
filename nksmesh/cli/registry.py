"""``nksmesh registry``: this machine's logins to image registries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import PlainHttp, RegistryConfig, Shell
from nksmesh.cli.run import run

if TYPE_CHECKING:
    from nksmesh.commands.registry import LoggedIn
    from nksmesh.domain.common.events import Listener

app = command_group("Log in to image registries, and log out.")

Host = Annotated[str, typer.Argument(metavar="HOST", help="The registry's host, such as registry.example.com:5000.")]


@command(
    app,
    examples=[
        "nksmesh registry login HOST",
        "nksmesh registry login HOST --username KEY_ID --password-stdin < secret-key",
    ],
)
def login(
    shell: Shell,
    host: Host,
    username: Annotated[
        str, typer.Option("--username", metavar="NAME", help="The user name. Default: it is asked for.")
    ] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Log in to a registry: ask for user name and password, try them, and store them as docker login does.

    They are stored in Docker's config.json, or by the credential helper that this file names for the host. On NCR,
    the user name is the User Access Key ID, and the password is the Secret Access Key.
    """
    from nksmesh.cli.logins import ask_login, read_login
    from nksmesh.commands.registry import log_in
    from nksmesh.domain.images.reference import parse_host

    server = parse_host(host)
    stored = wiring.stored_logins(registry_config)
    stored.check(server)
    given = (
        read_login(username)
        if password_stdin
        else ask_login(f"Login for {server}.", username=username, otherwise="Pass --username and --password-stdin.")
    )
    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)

    async def prove(_listener: Listener) -> LoggedIn:
        async with access.open(server) as registries:
            return await log_in(server, given, registries, stored)

    run(shell, prove)


@command(app, examples=["nksmesh registry logout HOST"])
def logout(shell: Shell, host: Host, registry_config: RegistryConfig = None) -> None:
    """Remove a registry's login from Docker's config.json, or from the credential helper that keeps it."""
    from nksmesh.commands.registry import log_out
    from nksmesh.domain.images.reference import parse_host

    server, stored = parse_host(host), wiring.stored_logins(registry_config)
    run(shell, lambda _listener: log_out(server, stored))
