"""``nksmesh charts``: the charts themselves, apart from any cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, request_of
from nksmesh.cli.options import ChartSource, Directory, EnvironmentName, LockedOnly, Shell
from nksmesh.cli.run import run, show
from nksmesh.commands.archives import vendor_charts, verify_charts
from nksmesh.commands.charts import fetch_charts, list_charts, lock_charts
from nksmesh.domain.charts.chart import OFFICIAL_SOURCE
from nksmesh.domain.charts.releases import OPTIONAL
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home

app = command_group("Fetch Istio's charts, pin them in charts.lock, copy them into a folder, and verify them.")

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
        "nksmesh charts fetch 1.30.2 --charts oci://HOST/REGISTRY/charts",
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
            charts=wiring.chart_store(shell),
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
        "nksmesh charts lock --upgrade --version 1.30.2 --charts oci://HOST/REGISTRY/charts",
    ],
)
def lock(
    shell: Shell,
    versions: SomeVersions = None,
    component: Components = None,
    all_components: AllComponents = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Fetch the charts again and replace their pins: the archives changed.")
    ] = False,
    version: Annotated[
        list[str] | None, typer.Option("--version", metavar="X.Y.Z", help="The same as VERSION. Can be repeated.")
    ] = None,
    charts: ChartSource = "",
    directory: Directory = None,
) -> None:
    """Fetch charts, and write the digests of their archives to charts.lock.

    These are the charts that charts.lock already lists. For a version that is new to it: base, istiod and gateway.
    Of a chart in a registry (oci://), also the digest of its manifest. An archive that differs from its pin is
    refused; with --upgrade it is pinned instead, and the digest before is shown.
    """
    run(
        shell,
        lambda listener: lock_charts(
            (*(versions or ()), *(version or ())),
            source=wiring.chart_source(charts) or None,
            charts=wiring.chart_store(shell),
            locks=wiring.files(directory).lock,
            components=_named(component, everything=all_components),
            upgrade=upgrade,
            listener=listener,
        ),
    )


def _named(components: Sequence[str] | None, *, everything: bool) -> tuple[str, ...]:
    return (*(components or ()), *(OPTIONAL if everything else ()))


@command(app, "list", examples=["nksmesh charts list", "nksmesh charts list -o json"])
def list_(shell: Shell, directory: Directory = None) -> None:
    """List the charts in charts.lock: chart, version, source, digest, and whether it is cached."""
    show(shell, list_charts(charts=wiring.chart_store(shell), locks=wiring.files(directory).lock))


@command(
    app,
    examples=[
        "nksmesh charts vendor ./charts -e prod",
        "nksmesh charts vendor ./charts 1.30.2",
        "nksmesh install -e prod --charts ./charts",
    ],
)
def vendor(
    shell: Shell,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to write to.")],
    versions: SomeVersions = None,
    environment: EnvironmentName = "",
    charts: ChartSource = "",
    locked: LockedOnly = False,
    directory: Directory = None,
) -> None:
    """Copy chart archives into a folder, which --charts FOLDER reads without a network.

    Without -e: the charts that charts.lock pins, of all versions or of the given ones (if it pins none, all that it
    lists). With -e: the charts of the environment's mesh.
    """
    files = wiring.files(directory)
    if environment and versions:
        raise ConfigError(
            "-e and VERSION cannot be used together",
            hint="With -e, the version is the environment's: leave VERSION out.",
        )
    options = MeshOptions(environment=environment, directory=directory, charts=charts, locked=locked)
    request = request_of(shell, options, files) if environment else None
    run(
        shell,
        lambda listener: vendor_charts(
            at_home(str(folder)),
            versions or (),
            request=request,
            source=wiring.chart_source(charts),
            charts=wiring.chart_store(shell),
            locks=files.lock,
            locked=locked,
            listener=listener,
        ),
    )


@command(
    app,
    examples=[
        "nksmesh charts verify",
        "nksmesh charts verify 1.30.2 --charts ./charts",
        "nksmesh charts verify -o json",
    ],
)
def verify(
    shell: Shell,
    versions: SomeVersions = None,
    charts: Annotated[
        str, typer.Option("--charts", metavar="FOLDER", help="A folder of archives. Default: the cache.")
    ] = "",
    directory: Directory = None,
) -> None:
    """Compare chart archives with charts.lock. No network is used.

    Each archive that differs, is missing, or is not in charts.lock is named. Exits with 3 if there is one.
    """
    source = wiring.chart_source(charts)
    store, lock = wiring.chart_store(shell), wiring.files(directory).lock
    show(shell, verify_charts(versions or (), folder=source, charts=store, locks=lock))
