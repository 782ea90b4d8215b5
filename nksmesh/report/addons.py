"""How ``nksmesh addons`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.addons.change import AddonsPlan, AddonsResult
from nksmesh.commands.addons.expose import ExposePlan, ExposeResult
from nksmesh.commands.addons.status import AddonList, AddonState
from nksmesh.domain.addons.dashboards import DASHBOARDS
from nksmesh.domain.common.spelling import counted
from nksmesh.engine.samples import ObjectsPlan, PodsStep
from nksmesh.report.common import show_outcomes, show_steps
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, gap, rows, sentence, warnings
from nksmesh.report.text import renders

_STYLES: Final = {AddonState.READY: GOOD, AddonState.NOT_READY: BAD, AddonState.ABSENT: FAINT}


def _show_plan(plan: ObjectsPlan, title: str, console: Console) -> None:
    sentence(console, title, "bold")
    show_steps(plan.steps, console)
    if plan.images:
        gap(console)
        rows(console, ["images"], [(image,) for image in plan.images])
    warnings(console, (str(finding) for finding in plan.findings))


@renders(AddonsPlan)
def _plan(plan: AddonsPlan, console: Console, _verbose: bool) -> None:
    verb, where = ("Install", "in") if plan.install else ("Remove", "from")
    _show_plan(plan, f"{verb} {', '.join(plan.addons)} {where} namespace {plan.namespace}:", console)


@renders(AddonsResult)
def _result(result: AddonsResult, console: Console, verbose: bool) -> None:
    plan, names = result.plan, ", ".join(result.plan.addons)
    if not result.agreed:
        sentence(console, "Nothing was changed.", FAINT)
    elif plan.empty:
        sentence(console, f"nksmesh has applied no object of {names} in namespace {plan.namespace}.")
    elif plan.install:
        proved = next((row.message for row in result.progress.outcomes if isinstance(row.step, PodsStep)), "")
        verb = "is" if len(plan.addons) == 1 else "are"
        sentence(console, f"{names} {verb} installed in namespace {plan.namespace}: {proved}", GOOD)
        if pages := [name for name in plan.addons if name in DASHBOARDS]:
            sentence(console, f"Next: nksmesh dashboard {pages[-1]}.")
    else:
        sentence(console, f"{names}: {counted(len(plan.steps), 'object was', 'objects were')} deleted", GOOD)
    if verbose and result.progress.outcomes:
        show_outcomes(result.progress.outcomes, console)


@renders(ExposePlan)
def _exposing(plan: ExposePlan, console: Console, _verbose: bool) -> None:
    kind = "a public" if plan.public else "an internal"
    _show_plan(plan, f"Expose {plan.addon} with {kind} load balancer:", console)


@renders(ExposeResult)
def _exposed(result: ExposeResult, console: Console, verbose: bool) -> None:
    plan = result.plan
    if not result.agreed:
        sentence(console, "Nothing was changed.", FAINT)
        return
    if result.url:
        reach = "everyone on the internet" if plan.public else "this VPC"
        sentence(console, f"{plan.addon} is at {result.url}, for {reach}.", GOOD)
    else:
        sentence(console, f"Service {plan.service} has no address yet.", DOUBTFUL)
        sentence(console, f"Run kubectl describe service {plan.service} -n istio-system to see why.")
    sentence(console, f"To close it, run kubectl delete service {plan.service} -n istio-system.")
    if verbose:
        show_outcomes(result.progress.outcomes, console)


@renders(AddonList)
def _list(result: AddonList, console: Console, _verbose: bool) -> None:
    rows(
        console,
        ["add-on", "state", "owner", "images", "address", ""],
        [
            (
                row.name,
                Text(row.state.value, style=_STYLES[row.state]),
                row.owner,
                ", ".join(row.images),
                ", ".join(row.addresses),
                row.message if row.state is AddonState.NOT_READY else "",
            )
            for row in result.addons
        ],
    )
