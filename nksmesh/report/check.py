"""How ``nksmesh check`` looks."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.check import CheckResult
from nksmesh.domain.checks.rule import Status
from nksmesh.domain.common.spelling import counted
from nksmesh.report.common import show_checked
from nksmesh.report.layout import BAD, GOOD, gap, sentence
from nksmesh.report.text import renders


@renders(CheckResult)
def _check(result: CheckResult, console: Console, _verbose: bool) -> None:
    for group in result.groups:
        sentence(console, group.group, "bold")
        for found in group.results:
            show_checked(found, console)
    gap(console)
    failures = counted(result.counts[Status.FAILURE], "failure")
    warnings = counted(result.counts[Status.WARNING], "warning")
    sentence(console, f"{result.counts[Status.OK]} ok, {warnings}, {failures}", BAD if result.failures else GOOD)
