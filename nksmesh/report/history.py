"""How ``nksmesh history`` looks."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.history import HistoryResult
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.plan.history import Outcome, Run
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, facts, gap, rows, sentence
from nksmesh.report.text import renders

_STYLES: Final = {
    Outcome.DONE: GOOD,
    Outcome.FAILED: BAD,
    Outcome.INTERRUPTED: BAD,
    Outcome.RUNNING: DOUBTFUL,
    Outcome.ROLLED_BACK: FAINT,
}
_LINES_OF_EVIDENCE: Final = 12


@renders(HistoryResult)
def _history(result: HistoryResult, console: Console, verbose: bool) -> None:
    if not result.runs:
        sentence(console, f"No runs are recorded for a mesh in {result.namespace}.")
        return
    rows(
        console,
        ["run", "command", "started (UTC)", "took", "by", "versions", "result"],
        [_row(run) for run in result.runs],
    )
    for run in result.runs:
        if run.reason:
            sentence(console, f"run {run.number}: {run.reason}", FAINT if run.outcome is Outcome.ROLLED_BACK else BAD)
    if result.more:
        sentence(console, f"{counted(result.more, 'older run is', 'older runs are')} kept (--limit shows more).", FAINT)
    for run in result.runs if verbose else ():
        gap(console)
        _details(run, console)


def _row(run: Run) -> list[str | Text]:
    began = run.began.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if run.began else ""
    took = spoken((run.ended - run.began).total_seconds()) if run.began and run.ended else "-"
    return [str(run.number), run.command, began, took, run.who, versions_of(run), result_of(run)]


def versions_of(run: Run) -> str:
    """Write the versions that a run led from and to."""
    before, after = ", ".join(run.from_versions) or "none", run.to_version or "none"
    return before if before == after else f"{before} -> {after}"


def result_of(run: Run) -> Text:
    """Write what came of a run, in its colour."""
    words = run.outcome.value
    words += f" by run {run.undone_by}" if run.undone_by else ""
    many = "runs" if len(run.undoes) > 1 else "run"
    words += f": undid {many} {', '.join(map(str, run.undoes))}" if run.undoes and run.whole else ""
    return Text(words, style=_STYLES[run.outcome])


def _details(run: Run, console: Console) -> None:
    sentence(console, f"run {run.number}, {run.command}", "bold")
    moved = (
        f"{move.release.name} {move.before or 'none'} -> {move.after or 'none'}" for move in run.releases if move.moved
    )
    facts(
        console,
        [
            ("Helm revisions", ", ".join(moved) or "unchanged"),
            ("values", run.values_hash),
            ("account", run.account),
            ("nksmesh", run.written_by),
        ],
    )
    show_evidence(run, console, all_of_it=True)


def show_evidence(run: Run, console: Console, *, all_of_it: bool = False) -> None:
    """Print what a failed run kept of its progress; the last lines, or all of it."""
    lines = run.evidence.splitlines()
    shown = lines if all_of_it else lines[-_LINES_OF_EVIDENCE:]
    for line in shown:
        sentence(console, f"  | {line}", FAINT)
