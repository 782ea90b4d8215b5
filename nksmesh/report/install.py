"""How ``nksmesh install`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.install import InstallResult
from nksmesh.report.common import show_addresses, show_outcomes
from nksmesh.report.layout import GOOD, sentence, warnings
from nksmesh.report.plan import plan_title, show_plan, show_resolved
from nksmesh.report.text import renders


@renders(InstallResult)
def _install_result(result: InstallResult, console: Console, verbose: bool) -> None:
    plan, progress = result.plan, result.progress
    if not result.agreed:
        sentence(console, "Nothing was written.")
        return
    if result.dry_run:
        show_plan(plan, console, verbose=verbose)
        return
    ending = "installed and ready" if plan.changes else "ready, and up to date: nothing was changed"
    console.print(Text.assemble((f"{plan_title(plan)}: {ending}", GOOD)))
    show_resolved(plan, console)
    if verbose:
        show_outcomes(progress.outcomes, console)
    show_addresses(progress.addresses, console)
    warnings(console, progress.warnings)
