"""How ``nksmesh sample`` looks."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.sample.change import SamplePlan, SampleResult
from nksmesh.commands.sample.verify import Verified
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.plan.plan import Action
from nksmesh.report.common import show_checked, show_outcomes, show_steps
from nksmesh.report.layout import BAD, FAINT, GOOD, gap, rows, sentence, warnings
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


@renders(Verified)
def _verified(result: Verified, console: Console, _verbose: bool) -> None:
    for found in result.checks:
        show_checked(found, console)
    good = not result.exit_code
    words = f"works: {result.url}" if good else "does not work as the guide has it"
    sentence(console, f"{result.sample} in namespace {result.namespace} {words}", GOOD if good else BAD)


def _option(plan: SamplePlan) -> str:
    return "" if plan.namespace == "default" else f" -n {plan.namespace}"
