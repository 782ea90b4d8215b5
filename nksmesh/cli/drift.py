"""``nksmesh drift``: what is live against what the releases say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell
from nksmesh.cli.run import run_on

if TYPE_CHECKING:
    from nksmesh.commands.drift.drift import DriftResult, Survey
    from nksmesh.domain.drift.drift import ObjectDrift
    from nksmesh.engine.runtime import Runtime

app = command_group()


@command(app, examples=["nksmesh drift", "nksmesh drift -e prod --diff", "nksmesh drift -e prod --exit-code -q"])
def drift(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the differences line by line. Secrets stay hidden.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 if anything differs or there is no mesh (for CI).")
    ] = False,
) -> None:
    """Show where live objects differ from their Helm releases: missing, changed, or with added fields.

    The comparison uses server-side dry runs, which need the right to patch. What istiod, autoscalers and cloud
    controllers write is expected and ignored, and so are added labels, annotations and ConfigMap keys. Run
    nksmesh repair to restore what differs.
    """
    from nksmesh.commands.drift.drift import drift as workflow

    files = wiring.files(directory)
    where = targets.target_of_mesh(shell, environment, files)

    async def work(runtime: Runtime) -> DriftResult:
        found = await workflow(runtime, where.namespace, lock=files.lock.read(), diff=diff, exit_code=exit_code)
        return replace(found, survey=redacted(found.survey))

    run_on(shell, where, work)


def redacted(survey: Survey) -> Survey:
    """Leave out what looks like a secret where a manifest or a live object has found in the open."""
    return replace(survey, found=tuple(replace(found, drift=_redacted(found.drift)) for found in survey.found))


def _redacted(drift: ObjectDrift) -> ObjectDrift:
    from nksmesh.report.redaction import redact

    return replace(drift, lines=tuple(map(redact, drift.lines)), refusal=redact(drift.refusal))
