"""``nksmesh install``: the mesh, or what is asked for of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import InstallOptions, settings_of
from nksmesh.cli.options import ClearPending, DryRun, RollbackOnFailure, Shell
from nksmesh.cli.run import agreed, perform_on, run_on, show
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.engine.request import MeshRequest

app = command_group()


@command(
    app,
    shared=InstallOptions,
    examples=[
        "nksmesh install --region kr1",
        "nksmesh install --hub HOST/REGISTRY/istio --create-pull-secret",
        "nksmesh install -e prod --timeout 10m",
        "nksmesh install --region kr2 --network private --profile demo --charts ./charts",
    ],
)
def install(
    shell: Shell,
    options: InstallOptions,
    dry_run: DryRun = False,
    rollback_on_failure: RollbackOnFailure = False,
    create_pull_secret: Annotated[
        bool,
        typer.Option(
            "--create-pull-secret",
            help="Create the pull secret in each namespace that needs it. Asks for the login, and before it writes.",
        ),
    ] = False,
    from_login: Annotated[
        bool,
        typer.Option("--from-login", help="With --create-pull-secret: use the login that docker login has stored."),
    ] = False,
    yes: ClearPending = False,
) -> None:
    """Install the mesh, or bring it to the requested state. Each component must be ready before the next one starts.

    Omitted options keep their installed values. If nothing differs, nothing is changed; an interrupted run is resumed.
    """
    from nksmesh.commands import install as workflow

    request, where = settings_of(shell, options)
    if create_pull_secret:
        request = _with_pull_secret(request, from_login=from_login)
        shown = perform_on(shell, where, lambda runtime: workflow.install(request, runtime, dry_run=True))
        if dry_run or (shown.makes_pull_secrets and not agreed(shell, shown, "Create these and install?", yes=yes)):
            show(shell, replace(shown, agreed=dry_run))
            return
    elif from_login:
        raise ConfigError(
            "--from-login says where the login of --create-pull-secret is from", hint="Pass --create-pull-secret, too."
        )

    run_on(
        shell,
        where,
        lambda runtime: workflow.install(
            request, runtime, dry_run=dry_run, rollback_on_failure=rollback_on_failure, clear_pending=yes
        ),
    )


def _with_pull_secret(request: MeshRequest, *, from_login: bool) -> MeshRequest:
    """Have the pull secret made; its login is asked for where neither the environment nor a stored one is to be used.

    Raises:
        ConfigError: There is no terminal to ask on.
    """
    from nksmesh.cli.logins import ask_login
    from nksmesh.domain.plan.pull_secrets import DEFAULT_NAME, PullSecretOrder

    asked = None
    if not from_login and not wiring.login_in_environment():
        asked = ask_login("Login for the pull secret: an account that may pull and nothing else (NCR: Service Viewer).")
    return replace(
        request,
        options=replace(request.options, pull_secrets=(DEFAULT_NAME,)),
        pull_secret=PullSecretOrder(login=asked, stored=from_login),
    )
