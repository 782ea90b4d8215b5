"""How ``nksmesh charts`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.charts import ChartRow, ChartRows, Locked
from nksmesh.domain.common.spelling import counted
from nksmesh.report.layout import DOUBTFUL, FAINT, facts, rows, sentence
from nksmesh.report.text import renders

DIGEST: Final = len("sha256:") + 12
"""Characters of a digest that tell two charts apart at a glance; ``-v`` and JSON have all of it."""


@renders(ChartRows)
def _chart_rows(result: ChartRows, console: Console, verbose: bool) -> None:
    facts(console, [*_table(result.charts, console, verbose=verbose), ("lock", str(result.lock))])


@renders(Locked)
def _locked(result: Locked, console: Console, verbose: bool) -> None:
    facts(console, _table(result.charts, console, verbose=verbose))
    for name, before in result.renewed.items():
        sentence(console, f"{name} was pinned to {before if verbose else before[:DIGEST]}", DOUBTFUL)
    if result.added:
        sentence(console, f"{counted(result.added, 'digest')} written to {result.lock}")
    else:
        sentence(console, f"{result.lock} is complete: nothing was written")


def pin(*, pinned: bool) -> str | Text:
    """Say whether charts.lock pins a chart."""
    return "pinned" if pinned else Text("not pinned", style=DOUBTFUL)


def _table(charts: tuple[ChartRow, ...], console: Console, *, verbose: bool) -> list[tuple[str, str]]:
    """Print the table; return what is the same for each of its lines."""
    if not charts:
        sentence(console, "no charts")
        return []
    headers = ["chart", "version", "digest", "lock", "cache", *(["source"] if verbose or _several(charts) else [])]
    rows(console, headers, [_line(row, headers, verbose=verbose) for row in charts])
    return [] if "source" in headers else [("source", charts[0].ref.source)]


def _line(row: ChartRow, headers: list[str], *, verbose: bool) -> list[str | Text]:
    digest = (row.digest or "") if verbose else (row.digest or "")[:DIGEST]
    line: list[str | Text] = [
        row.ref.name,
        row.ref.version,
        digest or Text("unknown", style=FAINT),
        pin(pinned=row.pinned),
        "cached" if row.cached else Text("-", style=FAINT),
    ]
    return [*line, row.ref.source] if "source" in headers else line


def _several(charts: tuple[ChartRow, ...]) -> bool:
    return len({row.ref.source for row in charts}) > 1
