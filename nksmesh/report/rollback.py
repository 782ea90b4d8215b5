"""How ``nksmesh rollback`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.rollback.plan import RollbackPlan
from nksmesh.commands.rollback.rollback import RollbackResult
from nksmesh.domain.plan.history import Run
from nksmesh.report.common import show_addresses, show_outcomes, show_steps
from nksmesh.report.history import result_of, show_evidence, versions_of
from nksmesh.report.layout import BAD, FAINT, GOOD, gap, rows, sentence, warnings
from nksmesh.report.text import renders


@renders(RollbackPlan)
def _rollback_plan(plan: RollbackPlan, console: Console, verbose: bool) -> None:
    way = plan.way
    sentence(console, f"Back to {', '.join(way.to_versions) or 'no mesh'}, as before run {way.numbers[0]}", "bold")
    rows(console, ["undoes", "command", "versions", "result"], [_taken_back(run) for run in way.runs])
    if way.failed:
        sentence(console, f"run {way.failed.number}: {way.failed.reason or 'it did not finish'}", BAD)
        show_evidence(way.failed, console, all_of_it=verbose)
    gap(console)
    show_steps(plan.plan.steps, console)
    sentence(console, "CRDs and namespaces stay unchanged.", FAINT)
    warnings(console, plan.warnings)


def _taken_back(run: Run) -> list[str | Text]:
    return [f"run {run.number}", run.command, versions_of(run), result_of(run)]


@renders(RollbackResult)
def _rollback_result(result: RollbackResult, console: Console, verbose: bool) -> None:
    way, progress = result.plan.way, result.progress
    if not result.agreed:
        sentence(console, "Nothing was rolled back.")
        return
    back = (
        f"Istio {', '.join(way.to_versions)}: restored, and ready"
        if way.to_versions
        else "Removed what the run had created"
    )
    console.print(Text(f"{back} (as before run {way.numbers[0]})", style=GOOD))
    if verbose:
        show_outcomes(progress.outcomes, console)
    show_addresses(progress.addresses, console)
