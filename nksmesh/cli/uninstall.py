"""``nksmesh uninstall``: the end of the mesh, or of one Istio revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Yes
from nksmesh.cli.run import run_agreed
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from nksmesh.commands.uninstall.uninstall import UninstallPlan, UninstallResult
    from nksmesh.engine.runtime import Runtime

app = command_group()


@command(
    app,
    examples=[
        "nksmesh uninstall",
        "nksmesh uninstall -e sandbox --purge --yes",
        "nksmesh uninstall --purge --keep-crds",
        "nksmesh uninstall --revision 1-20-1",
    ],
)
def uninstall(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Also remove the CRDs with all Istio objects, the mesh's CA, labels and namespace."
        ),
    ] = False,
    keep_crds: Annotated[
        bool, typer.Option("--keep-crds", help="With --purge: keep the CRDs and all Istio objects.")
    ] = False,
    revision: Annotated[
        str,
        typer.Option("--revision", metavar="REV", help="Remove only the istiod of this Istio revision, and its tags."),
    ] = "",
    yes: Yes = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for each release to be removed.")
    ] = "5m",
) -> None:
    """Remove the mesh: gateways, then istiod, then base. Shows what is removed and what stays, and asks.

    Without --purge, the CRDs with your Istio objects, the mesh's CA (istio-ca-secret), namespaces and labels stay.
    Workloads keep their sidecars until they are restarted: they are listed, never changed.
    """
    from nksmesh.commands.uninstall import revision as of_revision
    from nksmesh.commands.uninstall import uninstall as workflow

    if revision and (purge or keep_crds):
        raise ConfigError(
            "--revision keeps the rest of the mesh, which needs what --purge removes",
            hint="Pass --revision without --purge.",
        )
    where = targets.target_of_mesh(shell, environment, wiring.files(directory), timeout=timeout)

    def make(runtime: Runtime) -> Awaitable[UninstallPlan]:
        if revision:
            return of_revision.plan_revision(runtime.cluster, where.namespace, revision, yes=yes)
        return workflow.plan_uninstall(runtime.cluster, where.namespace, purge=purge, keep_crds=keep_crds)

    def follow(plan: UninstallPlan, runtime: Runtime) -> Awaitable[UninstallResult]:
        if revision:
            return of_revision.uninstall_revision(plan, runtime, yes=yes)
        return workflow.uninstall(plan, runtime)

    run_agreed(
        shell,
        where,
        make=make,
        question="Remove all of this?",
        undone=workflow.UninstallResult.of_nothing,
        follow=follow,
        yes=yes,
    )
