"""How ``nksmesh charts vendor`` and ``charts verify`` look."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.archives import ArchiveState, Vendored, Verified
from nksmesh.domain.common.findings import Level
from nksmesh.domain.common.spelling import counted
from nksmesh.report.charts import DIGEST, pin
from nksmesh.report.layout import BAD, GOOD, rows, sentence
from nksmesh.report.text import renders


@renders(Vendored)
def _vendored(result: Vendored, console: Console, verbose: bool) -> None:
    lines = [
        [row.file, row.digest if verbose else row.digest[:DIGEST], pin(pinned=row.pinned)] for row in result.charts
    ]
    rows(console, ["archive", "digest", "lock"], lines)
    sentence(console, f"{counted(len(lines), 'archive')} written to {result.folder}")


@renders(Verified)
def _verified(result: Verified, console: Console, verbose: bool) -> None:
    rows(
        console,
        ["archive", "digest", "state"],
        [[row.name, row.found if verbose else row.found[:DIGEST], _state(row.state)] for row in result.archives],
    )
    failures = [finding for finding in result.findings if finding.level is Level.FAILURE]
    total = counted(len(result.archives), "archive")
    if failures:
        sentence(console, f"{len(failures)} of {total} failed the check against {result.lock}", BAD)
    for finding in failures:
        sentence(console, f"error: {finding.message}", BAD)
        for line in finding.detail.splitlines():
            sentence(console, f"  | {line}")
        sentence(console, f"hint: {finding.hint}")
    if not failures:
        sentence(console, f"{total} in {result.place} verified against {result.lock}", GOOD)


def _state(state: ArchiveState) -> Text:
    return Text(state.value, style=GOOD if state is ArchiveState.VERIFIED else BAD)
