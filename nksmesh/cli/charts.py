"""``nksmesh charts``: the charts themselves, apart from any cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import ChartSource, Directory, LockedOnly, Shell
from nksmesh.cli.run import run, show
from nksmesh.commands.charts import fetch_charts, list_charts, lock_charts
from nksmesh.domain.charts.chart import OFFICIAL_SOURCE
from nksmesh.domain.charts.releases import OPTIONAL

app = command_group("Fetch Istio's charts, pin them in charts.lock, and list the pinned ones.")

Versions = Annotated[list[str], typer.Argument(metavar="VERSION...", help="Istio versions, such as 1.20.0.")]
SomeVersions = Annotated[
    list[str] | None,
    typer.Argument(metavar="[VERSION]...", help="Istio versions. Default: all versions in charts.lock."),
]


Components = Annotated[
    list[str] | None,
    typer.Option(
        "--component",
        metavar="NAME",
        help=f"Also include the chart of this component ({', '.join(OPTIONAL)}). Can be repeated.",
    ),
]
AllComponents = Annotated[
    bool, typer.Option("--all-components", help=f"Also include the charts of {' and '.join(OPTIONAL)}.")
]


@command(
    app,
    examples=[
        "nksmesh charts fetch 1.19.0 1.20.0",
        "nksmesh charts fetch 1.20.0 --all-components",
        "nksmesh charts fetch 1.20.0 --component cni --charts ./charts",
    ],
)
def fetch(
    shell: Shell,
    versions: Versions,
    component: Components = None,
    all_components: AllComponents = False,
    charts: ChartSource = "",
    locked: LockedOnly = False,
    directory: Directory = None,
) -> None:
    """Fetch the charts of the given versions into the cache, so that an install needs no network for them.

    By default these are base, istiod and gateway, which every mesh needs. If your mesh has other components (see
    components in mesh.yaml), add them with --component or --all-components.
    """
    run(
        shell,
        lambda listener: fetch_charts(
            versions,
            source=wiring.chart_source(charts) or OFFICIAL_SOURCE,
            charts=wiring.chart_store(),
            locks=wiring.files(directory).lock,
            locked=locked,
            components=_named(component, everything=all_components),
            listener=listener,
        ),
    )


@command(
    app,
    examples=[
        "nksmesh charts lock",
        "nksmesh charts lock 1.20.0 --charts ./charts",
        "nksmesh charts lock 1.20.0 --component cni",
    ],
)
def lock(
    shell: Shell,
    versions: SomeVersions = None,
    component: Components = None,
    all_components: AllComponents = False,
    charts: ChartSource = "",
    directory: Directory = None,
) -> None:
    """Fetch charts, and write the digests of their archives to charts.lock.

    These are the charts that charts.lock already lists. For a version that is new to it: base, istiod and gateway.
    """
    run(
        shell,
        lambda listener: lock_charts(
            versions or (),
            source=wiring.chart_source(charts) or None,
            charts=wiring.chart_store(),
            locks=wiring.files(directory).lock,
            components=_named(component, everything=all_components),
            listener=listener,
        ),
    )


def _named(components: Sequence[str] | None, *, everything: bool) -> tuple[str, ...]:
    return (*(components or ()), *(OPTIONAL if everything else ()))


@command(app, "list", examples=["nksmesh charts list", "nksmesh charts list -o json"])
def list_(shell: Shell, directory: Directory = None) -> None:
    """List the charts in charts.lock: chart, version, source, digest, and whether it is cached."""
    show(shell, list_charts(charts=wiring.chart_store(), locks=wiring.files(directory).lock))
