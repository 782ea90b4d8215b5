"""How ``nksmesh regions`` and ``nksmesh versions`` look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from rich.console import Console
from rich.text import Text

from nksmesh.commands.catalog import Regions, Versions
from nksmesh.domain.mesh.mesh import IstioVersion
from nksmesh.domain.mesh.versions import supports
from nksmesh.report.layout import DOUBTFUL, FAINT, facts, gap, rows, state
from nksmesh.report.text import renders


@renders(Regions)
def _regions(result: Regions, console: Console, _verbose: bool) -> None:
    for number, region in enumerate(result.regions):
        if number:
            gap(console)
        title = region.title + (f", {region.title_en}" if region.title_en else "")
        console.print(Text.assemble((region.name, "bold"), f"  {title}"))
        facts(
            console,
            [
                *((f"  {network.value}", hub) for network, hub in region.hubs.items()),
                ("  Istio", ", ".join(region.versions)),
                ("  Kubernetes", ", ".join(region.kubernetes)),
            ],
        )


@renders(Versions)
def _versions(result: Versions, console: Console, _verbose: bool) -> None:
    seen = bool(result.look.kubernetes)
    rows(
        console,
        ["istio", "kubernetes", "at least", "support ends", *(["this cluster"] if seen else []), "versions"],
        [
            (
                entry.minor,
                f"{entry.kubernetes_min} to {entry.kubernetes_max}",
                entry.kubernetes_floor,
                _ends(result, entry.support_ends, planned=entry.planned),
                *([state("fits", good=True) if result.fits(entry) else ""] if seen else []),
                _patches(result, entry),
            )
            for entry in result.versions
        ],
    )
    notes = ["In brackets: the regions whose registry provides the version. *: tested with nksmesh."]
    if seen:
        notes.append(f"This cluster: Kubernetes {result.look.kubernetes}, context {result.look.context}.")
    elif result.look.problem:
        notes.append(f"Versions that fit your cluster are not marked: {result.look.problem}.")
    for note in notes:
        console.print(Text(note, style=FAINT))
    if result.nks.kubernetes:
        _kubernetes(result, console)


def _kubernetes(result: Versions, console: Console) -> None:
    gap(console)
    rows(
        console,
        ["nks kubernetes", "new clusters", "support ends", "upgrade until", "istio"],
        [
            (
                Text(row.minor, style="bold" if row.minor == result.minor else ""),
                "yes" if row.minor in result.nks.offered else "",
                _ends(result, row.support_ends, planned=row.planned),
                str(row.upgrade_until or ""),
                _span([entry.minor for entry in result.versions if supports(entry, row.minor)]),
            )
            for row in result.nks.kubernetes.values()
        ],
    )
    console.print(Text(f"As of {result.nks.as_of}: {result.nks.source}.", style=FAINT))


def _ends(result: Versions, day: date | None, *, planned: bool) -> Text:
    """Write when support ends; what is over by now is marked."""
    if day is None:
        return Text("not known", style=FAINT)
    over = result.today is not None and result.today > day
    return Text(f"{day}{' planned' if planned else ''}", style=DOUBTFUL if over else "")


def _patches(result: Versions, row: IstioVersion) -> str:
    """List a minor's versions; those of which there is nothing to say, in spans."""
    parts: list[str] = []
    for plain, group in groupby(row.versions, lambda patch: patch not in row.tested and not result.provided_by(patch)):
        if plain:
            parts.append(_span(list(group)))
            continue
        for version in group:
            regions = result.provided_by(version)
            tested = "*" if version in row.tested else ""
            parts.append(f"{version}{tested} ({', '.join(regions)})" if regions else f"{version}{tested}")
    return ", ".join(parts)


def _span(versions: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys((versions[0], versions[-1]))) if versions else ""
