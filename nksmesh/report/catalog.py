"""How ``nksmesh regions`` and ``nksmesh versions`` look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from nksmesh.report.layout import FAINT, facts, gap, rows
from nksmesh.report.text import render
from nksmesh.workflows.catalog import Regions, Versions

if TYPE_CHECKING:
    from rich.console import Console


@render.register(Regions)
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


@render.register(Versions)
def _versions(result: Versions, console: Console, _verbose: bool) -> None:
    rows(
        console,
        ["istio", "kubernetes", "at least", "versions"],
        [
            (
                one.minor,
                f"{one.kubernetes_min} to {one.kubernetes_max}",
                one.kubernetes_floor,
                ", ".join(_version(result, version) for version in one.versions),
            )
            for one in result.versions
        ],
    )
    console.print(Text("In brackets: the regions whose registry provides the version.", style=FAINT))


def _version(result: Versions, version: str) -> str:
    regions = result.provided_by(version)
    return f"{version} ({', '.join(regions)})" if regions else version
