"""How ``nksmesh repair`` looks."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.repair.repair import RepairPlan, RepairResult
from nksmesh.domain.common.spelling import counted
from nksmesh.report.common import without_mesh
from nksmesh.report.drift import show_differences, show_drift, show_gone, show_no_drift
from nksmesh.report.layout import DOUBTFUL, FAINT, GOOD, sentence, warnings
from nksmesh.report.text import renders


@renders(RepairPlan)
def _repair_plan(plan: RepairPlan, console: Console, verbose: bool) -> None:
    sentence(console, f"{counted(len(plan.found), 'object')} would be restored:", "bold")
    show_gone(plan.installation, console)
    show_drift(plan.survey, console, verbose=verbose)
    show_differences(plan.survey, console)
    if plan.others:
        sentence(console, _others(plan.others), DOUBTFUL)
    warnings(console, plan.survey.notes)


@renders(RepairResult)
def _repair(result: RepairResult, console: Console, verbose: bool) -> None:
    if not result.agreed:
        sentence(console, "Nothing was restored.")
        return
    if not result.repaired:
        if result.plan.installation.releases:
            show_no_drift("Nothing to restore", result.plan.survey, console)
        else:
            without_mesh(console, result.plan.installation, f"No mesh in {result.plan.installation.namespace}.")
        show_gone(result.plan.installation, console)
        return
    sentence(console, "restored to match their releases:", GOOD)
    for ref in result.repaired:
        sentence(console, f"  {ref}")
    for words in result.proved if verbose else ():
        sentence(console, words, FAINT)
    if result.plan.others:
        sentence(console, _others(result.plan.others), DOUBTFUL)


def _others(count: int) -> str:
    many = counted(count, "other object differs", "other objects differ")
    return f"{many}, too. Run nksmesh drift to see {'it' if count == 1 else 'them'}."
