"""How ``nksmesh sample`` looks."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.sample.change import SamplePlan, SampleResult
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.plan.plan import Action
from nksmesh.report.common import show_outcomes, show_steps
from nksmesh.report.layout import FAINT, GOOD, gap, rows, sentence, warnings
from nksmesh.report.text import renders


@renders(SamplePlan)
def _plan(plan: SamplePlan, console: Console, _verbose: bool) -> None:
    verb, where = ("Deploy", "in") if plan.deploy else ("Delete", "from")
    sentence(console, f"{verb} {plan.sample} {where} namespace {plan.namespace}:", "bold")
    show_steps(plan.steps, console)
    if plan.images:
        gap(console)
        rows(console, ["images"], [(image,) for image in plan.images])
    warnings(console, (str(finding) for finding in plan.findings))


@renders(SampleResult)
def _result(result: SampleResult, console: Console, verbose: bool) -> None:
    plan = result.plan
    if not result.agreed:
        sentence(console, "Nothing was changed.", FAINT)
        return
    if plan.empty:
        sentence(console, f"nksmesh has deployed no object of {plan.sample} in namespace {plan.namespace}.")
        return
    if plan.deploy:
        proved = next((row.message for row in result.progress.outcomes if row.step.action is Action.PROVE), "")
        sentence(console, f"{plan.sample} is deployed in namespace {plan.namespace}: {proved}", GOOD)
        sentence(console, f"Next: nksmesh sample verify {plan.sample}{_option(plan)}.")
    else:
        sentence(console, f"{plan.sample}: {counted(len(plan.steps), 'object was', 'objects were')} deleted", GOOD)
    if verbose:
        show_outcomes(result.progress.outcomes, console)


def _option(plan: SamplePlan) -> str:
    return "" if plan.namespace == "default" else f" -n {plan.namespace}"
