"""The command: its options, its table, and its JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import looks, mirrors, plane, traffic
from bench.contenders import VERSION
from bench.figures import Row
from bench.rows import Bench, medians
from bench.stage import ROOT, MeasureError, Stage, stage

NAMES: Final = (
    "sandbox",
    "version",
    "startup",
    "install",
    "again",
    "demo",
    "link",
    "crowd",
    "upgrade",
    "done",
    "memory",
    "mirror",
    "lookups",
    "check",
    "proof",
    "bundle",
    "guide",
    "live",
    "bookinfo",
    "rehearsal",
)
_FEWEST: Final = 5


def run(arguments: Sequence[str]) -> int:
    """Measure, print the table, keep the JSON.

    Returns:
        0, whatever was measured: a miss is a result, and is printed as one. 1 where something could not be measured.
    """
    options = _options(arguments)
    began = time.monotonic()
    with stage() as place:
        machine = _machine(place)
        tell: Callable[[str], None] = lambda words: print(words, file=sys.stderr, flush=True)  # noqa: E731
        bench = Bench(stage=place, pairs=options.pairs, tell=tell)
        rows, failed = _measure(bench, options.only or NAMES)
    machine["load_after"] = list(os.getloadavg())
    machine["seconds"] = time.monotonic() - began
    _print(rows, bench, machine, options.pairs)
    _keep(options.json, rows, bench, machine, options.pairs)
    for words in failed:
        print(f"NOT MEASURED: {words}")
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=_FEWEST, metavar="N", help="how many pairs a row has (5)")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="ROW", help=f"one of {', '.join(NAMES)}")
    default = ROOT / "bench" / "results" / "latest.json"
    parser.add_argument("--json", type=Path, default=default, metavar="FILE", help="where every figure is kept")
    return parser.parse_args(arguments)


def _measure(bench: Bench, names: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Measure what is asked for; return the rows, and why others could not be measured."""
    groups: dict[tuple[str, ...], Callable[[], list[Row]]] = {
        ("sandbox",): bench.sandbox_up,
        ("version",): bench.version,
        ("startup",): bench.startup,
        ("install", "again"): lambda: bench.install(again="again" in names),
        ("demo",): bench.demo,
        ("link",): bench.link,
        ("crowd",): bench.crowd,
        ("upgrade",): bench.upgrade,
        ("done",): bench.done,
        ("memory",): bench.memory,
        ("mirror",): lambda: mirrors.mirror(bench),
        ("lookups",): lambda: mirrors.lookups(bench),
        ("check",): lambda: looks.check(bench),
        ("proof",): lambda: looks.proof(bench),
        ("bundle",): lambda: looks.bundle(bench),
        ("guide",): lambda: plane.guide(bench),
        ("live",): lambda: plane.live(bench),
        ("bookinfo",): lambda: traffic.bookinfo(bench),
        ("rehearsal",): lambda: traffic.rehearsal(bench),
    }
    rows: list[Row] = []
    failed: list[str] = []
    for group, measure in groups.items():
        if not set(group) & set(names):
            continue
        try:
            rows += [row for row in measure() if row.name in names]
        except MeasureError as exc:
            failed.append(f"{' and '.join(group)}: {exc}")
    return rows, failed


def _machine(place: Stage) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "helm": {str(major): _version_of(path) for major, path in place.helm.items()},
        "istio": VERSION,
        "charts": place.charts_named,
        "load_before": list(os.getloadavg()),
    }


def _version_of(helm: Path) -> str:
    command = [str(helm), "version", "--template", "{{ .Version }}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _print(rows: Sequence[Row], bench: Bench, machine: dict[str, Any], pairs: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - the table alone needs it
    from rich.table import Table  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table(title=f"nksmesh, Istio {VERSION}, {machine['charts']}: medians of {pairs}")
    for heading in ("what", "nksmesh", "against", "ratio", "min to max", "target", ""):
        table.add_column(heading, justify="left" if heading in {"what", ""} else "right")
    for row in rows:
        table.add_row(*row.cells())
    console.print(table)
    for title, figures in bench.details.items():
        console.print(f"{title}, median seconds:", style="bold", highlight=False)
        for name, seconds in medians(figures).items():
            console.print(f"  {seconds:7.3f}  {name}", highlight=False)
    helms = " and ".join(machine["helm"].values())
    before, after = machine["load_before"][0], machine["load_after"][0]
    console.print(
        f"{machine['cores']} cores, {machine['processor']}, Python {machine['python']}, Helm {helms}; "
        f"load {before:.1f} before, {after:.1f} after; {machine['seconds']:.0f} s in all",
        highlight=False,
    )
    missed = [row.what for row in rows if row.reached is False]
    console.print(f"missed: {'; '.join(missed)}" if missed else "no target was missed", highlight=False)


def _keep(file: Path, rows: Sequence[Row], bench: Bench, machine: dict[str, Any], pairs: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": machine,
        "pairs": pairs,
        "rows": [row.to_data() for row in rows],
        "details_seconds": bench.details,
    }
    file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    print(f"every figure: {os.path.relpath(file)}")
