"""``nksmesh history``: what runs did to the mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell
from nksmesh.cli.run import run_on

if TYPE_CHECKING:
    from nksmesh.commands.history import HistoryResult
    from nksmesh.domain.plan.history import Run
    from nksmesh.engine.runtime import Runtime

app = command_group()


@command(app, examples=["nksmesh history", "nksmesh history -e prod --limit 3 -v", "nksmesh history -o json"])
def history(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many runs to show.")] = 10,
) -> None:
    """Show the runs that changed the mesh: when, by whom, from which version to which, and how each ended.

    With -v, also show the releases that each run changed and what was observed of a failure.
    """
    from nksmesh.commands.history import show_history

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))

    async def work(runtime: Runtime) -> HistoryResult:
        found = await show_history(runtime.cluster, where.namespace, limit=limit)
        return replace(found, runs=tuple(redacted(run) for run in found.runs))

    run_on(shell, where, work)


def redacted(run: Run) -> Run:
    """Leave out what looks like a secret in what other programs said of a failure."""
    from nksmesh.report.redaction import redact

    return replace(run, reason=redact(run.reason), evidence=redact(run.evidence))
