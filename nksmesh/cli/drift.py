"""``nksmesh drift`` and ``repair``: what is live against what the releases say, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory, EnvironmentName, Timeout, Yes, timeout_seconds
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import agreed, perform, run, show

if TYPE_CHECKING:
    from nksmesh.commands.drift.drift import DriftResult, Survey
    from nksmesh.commands.repair.repair import RepairPlan, RepairResult
    from nksmesh.domain.common.events import Listener

app = command_group()


@command(app, examples=["nksmesh drift", "nksmesh drift -e prod --diff", "nksmesh drift -e prod --exit-code -q"])
def drift(
    shell: Shell,
    environment: EnvironmentName = "",
    directory: Directory = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the differences line by line; Secrets stay hidden.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 where something differs, or there is no mesh, for CI.")
    ] = False,
) -> None:
    """Show where live objects are not what their releases say: missing, changed, or with something added.

    Asked of the API server by dry runs, which need the right to patch. What istiod, autoscalers and clouds write is
    known and left out, and so are labels, annotations and keys of ConfigMaps that somebody added. nksmesh repair puts
    back what differs.
    """
    from nksmesh.commands.drift.drift import drift as workflow  # noqa: PLC0415 - only what a command uses is imported

    files = wiring.files(directory)
    where, namespace = wiring.target_of_mesh(shell, environment, files)

    async def work(_listener: Listener) -> DriftResult:
        async with wiring.tools(shell, where) as tools:
            found = await workflow(
                tools.cluster,
                tools.helm,
                tools.charts,
                namespace,
                lock=files.lock.read(),
                diff=diff,
                exit_code=exit_code,
            )
            return replace(found, survey=_redacted(found.survey))

    run(shell, work)


@command(
    app,
    examples=["nksmesh repair", "nksmesh repair --yes Deployment/istiod ConfigMap/istio-system/istio-sidecar-injector"],
)
def repair(
    shell: Shell,
    objects: Annotated[
        list[str] | None,
        typer.Argument(metavar="OBJECT", help="Kind/name or Kind/namespace/name; all that differs without any."),
    ] = None,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Put back what differs from the releases, object by object, as Helm itself would write it.

    Shows what differs and asks. What is missing is made anew; pods that this makes anew are waited for, gateways behind
    istiod's webhook. Helm's releases stay as they are.
    """
    from nksmesh.commands.repair import repair as workflow  # noqa: PLC0415 - only what a command uses is imported
    from nksmesh.engine.waiting import WaitOptions  # noqa: PLC0415

    files = wiring.files(directory)
    where, namespace = wiring.target_of_mesh(shell, environment, files)
    waits = WaitOptions(component=timeout_seconds(timeout))
    lock, named = files.lock.read(), tuple(objects or ())

    async def make(_listener: Listener) -> RepairPlan:
        async with wiring.tools(shell, where) as tools:
            return await workflow.plan_repair(
                tools.cluster, tools.helm, tools.charts, namespace, lock=lock, objects=named
            )

    plan = perform(shell, make)
    said = replace(plan, survey=_redacted(plan.survey))
    if not plan.found:
        show(shell, workflow.RepairResult(plan=said))
        return
    if not agreed(shell, said, "Put all of this back?", yes=yes):
        show(shell, workflow.RepairResult(plan=said, agreed=False))
        return

    async def work(listener: Listener) -> RepairResult:
        async with wiring.tools(shell, where) as tools:
            done = await workflow.repair(
                plan,
                tools.cluster,
                tools.helm,
                tools.charts,
                lock=lock,
                objects=named,
                waits=waits,
                listener=listener,
            )
            return replace(done, plan=replace(done.plan, survey=_redacted(done.plan.survey)))

    run(shell, work)


def _redacted(survey: Survey) -> Survey:
    """Leave out what looks like a secret where a manifest or a live object has one in the open."""
    from nksmesh.report.redaction import redact  # noqa: PLC0415 - only what a command uses is imported

    found = (
        replace(
            one, drift=replace(one.drift, lines=tuple(map(redact, one.drift.lines)), refusal=redact(one.drift.refusal))
        )
        for one in survey.found
    )
    return replace(survey, found=tuple(found))
