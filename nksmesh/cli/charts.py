"""``nksmesh charts``: the charts themselves, apart from any cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import ChartSource, Directory, LockedOnly
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run
from nksmesh.domain.charts import OFFICIAL_SOURCE
from nksmesh.domain.events import Listener
from nksmesh.workflows.charts import ChartRows, Locked, fetch_charts, list_charts, lock_charts

app = command_group("Fetch Istio's charts, pin them in charts.lock, list what it names.")

Versions = Annotated[list[str], typer.Argument(metavar="VERSION...", help="Istio versions, such as 1.20.0.")]
SomeVersions = Annotated[
    list[str] | None, typer.Argument(metavar="[VERSION]...", help="Istio versions; none is all that charts.lock names.")
]


@command(app, examples=["nksmesh charts fetch 1.19.0 1.20.0", "nksmesh charts fetch 1.20.0 --charts ./charts"])
def fetch(
    shell: Shell, versions: Versions, charts: ChartSource = "", locked: LockedOnly = False, directory: Directory = None
) -> None:
    """Fetch the charts of some versions into the cache, so that an install needs no network for them."""

    async def workflow(listener: Listener) -> ChartRows:
        return await fetch_charts(
            versions,
            source=wiring.chart_source(charts) or OFFICIAL_SOURCE,
            charts=wiring.chart_store(),
            locks=wiring.files(directory).lock,
            locked=locked,
            listener=listener,
        )

    run(shell, workflow)


@command(app, examples=["nksmesh charts lock", "nksmesh charts lock 1.20.0 --charts ./charts"])
def lock(shell: Shell, versions: SomeVersions = None, charts: ChartSource = "", directory: Directory = None) -> None:
    """Fetch charts and write the digests of their archives into charts.lock."""

    async def workflow(listener: Listener) -> Locked:
        return await lock_charts(
            versions or (),
            source=wiring.chart_source(charts) or None,
            charts=wiring.chart_store(),
            locks=wiring.files(directory).lock,
            listener=listener,
        )

    run(shell, workflow)


@command(app, "list", examples=["nksmesh charts list", "nksmesh charts list -o json"])
def list_(shell: Shell, directory: Directory = None) -> None:
    """List what charts.lock names: chart, version, source, digest, and whether it is in the cache."""

    async def workflow(_listener: Listener) -> ChartRows:
        return list_charts(charts=wiring.chart_store(), locks=wiring.files(directory).lock)

    run(shell, workflow)
