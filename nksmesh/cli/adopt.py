"""``nksmesh adopt``: a mesh that somebody else made becomes one of nksmesh's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import ApplyOptions, settings_of
from nksmesh.cli.options import Shell, Yes
from nksmesh.cli.run import agreed, perform_on, run_on, show
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.commands.adopt.adopt import AdoptResult
    from nksmesh.commands.adopt.from_istioctl import TakeoverResult
    from nksmesh.engine.request import MeshRequest

app = command_group()


@command(
    app,
    shared=ApplyOptions,
    examples=[
        "nksmesh adopt",
        "nksmesh adopt --yes --dir meshes --write-env prod",
        "nksmesh adopt --from istioctl --profile demo --dry-run",
        "nksmesh adopt --from istioctl --profile demo --prune",
    ],
)
def adopt(
    shell: Shell,
    options: ApplyOptions,
    source: Annotated[
        Literal["helm", "istioctl"],
        typer.Option("--from", help="What installed the mesh: helm (releases of any name) or istioctl."),
    ] = "helm",
    write_env: Annotated[
        str,
        typer.Option(
            "--write-env", metavar="NAME", help="Also write the mesh as an environment of this name (with helm)."
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the mesh, and change nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Manage a mesh that was installed without nksmesh: by hand with Helm, or with istioctl.

    Helm releases are found by their charts and written to nksmesh's record; nothing else in the cluster changes. A
    mesh that istioctl installed is taken over object by object and becomes plain Helm releases: the CA and the
    gateways' addresses stay, and pods are replaced one by one once the webhook is verified.
    """
    request, where = settings_of(shell, options)
    if source == "helm":
        _adopt(shell, request, where, wiring.files(options.directory), environment=write_env, dry_run=dry_run, yes=yes)
        return
    if write_env:
        raise ConfigError(
            "--write-env works only with Helm releases",
            hint="Adopt the mesh first. Then run nksmesh adopt --write-env NAME.",
        )
    _take_over(shell, request, where, dry_run=dry_run, yes=yes)


def _adopt(
    shell: Shell,
    request: MeshRequest,
    where: targets.Target,
    files: wiring.Files,
    *,
    environment: str,
    dry_run: bool,
    yes: bool,
) -> None:
    from nksmesh.commands.adopt import adopt as workflow

    plan = perform_on(
        shell,
        where,
        lambda runtime: workflow.plan_adoption(request, runtime, files.mesh, environment=environment, dry_run=dry_run),
    )
    found = workflow.AdoptResult(plan=plan)
    question = f"Write it as environment {environment}?" if plan.recorded else "Record this mesh as managed by nksmesh?"
    if _agreed(shell, found, question, dry_run=dry_run, yes=yes):
        run_on(
            shell,
            where,
            lambda runtime: workflow.adopt(plan, runtime.cluster, files.mesh, listener=runtime.listener),
        )


def _take_over(shell: Shell, request: MeshRequest, where: targets.Target, *, dry_run: bool, yes: bool) -> None:
    from nksmesh.commands.adopt import from_istioctl as workflow

    plan = perform_on(shell, where, lambda runtime: workflow.plan_takeover(request, runtime))
    found = workflow.TakeoverResult(plan=plan)
    if _agreed(shell, found, "Take over all of this?", dry_run=dry_run, yes=yes):
        run_on(shell, where, lambda runtime: workflow.take_over(plan, runtime))


def _agreed(shell: Shell, found: AdoptResult | TakeoverResult, question: str, *, dry_run: bool, yes: bool) -> bool:
    """Show what was found, and ask where there is something to do; tell whether it is to be done."""
    if found.plan.empty or dry_run:
        show(shell, replace(found, dry_run=dry_run))
        return False
    if agreed(shell, replace(found, dry_run=True), question, yes=yes):
        return True
    show(shell, replace(found, agreed=False))
    return False
