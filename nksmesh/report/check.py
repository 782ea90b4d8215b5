"""How ``nksmesh check`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nksmesh.commands.check import CheckResult
from nksmesh.domain.checks.rule import Checked, Status
from nksmesh.domain.common.spelling import counted
from nksmesh.report.layout import BAD, DOUBTFUL, GOOD, gap, sentence
from nksmesh.report.redaction import redact
from nksmesh.report.text import renders

_STYLES: Final = {Status.OK: GOOD, Status.WARNING: DOUBTFUL, Status.FAILURE: BAD}
_INDENT: Final = 11


@renders(CheckResult)
def _check(result: CheckResult, console: Console, _verbose: bool) -> None:
    for group in result.groups:
        sentence(console, group.group, "bold")
        for found in group.results:
            _line(found, console)
    gap(console)
    failures = counted(result.counts[Status.FAILURE], "failure")
    warnings = counted(result.counts[Status.WARNING], "warning")
    sentence(console, f"{result.counts[Status.OK]} ok, {warnings}, {failures}", BAD if result.failures else GOOD)


def _line(found: Checked, console: Console) -> None:
    """Print an ok in one line; what needs a reader's attention with its sentence and what helps below it."""
    title = Text.assemble((f"  {found.status.value:9}", _STYLES[found.status]), (found.id, "bold"))
    if found.status is Status.OK:
        console.print(title.append(f"  {redact(found.message)}", style="not bold"))
        return
    console.print(title)
    for text in filter(None, (found.message, found.hint)):
        console.print(Padding(Text(redact(text)), (0, 0, 0, _INDENT)))
