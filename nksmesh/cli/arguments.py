"""Options that several commands have, each written once: a command's parameter takes its type from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

EnvironmentName: TypeAlias = Annotated[
    str, typer.Option("--environment", "-e", metavar="NAME", help="A folder of values/environments: sandbox, prod.")
]
Directory: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="The folder of your own values/ and charts.lock (nksmesh init)."),
]
ChartSource: TypeAlias = Annotated[
    str,
    typer.Option(
        "--charts",
        metavar="SOURCE",
        help="A Helm repository's URL, or a folder of archives or unpacked charts. Default: Istio's own repository.",
    ),
]
LockedOnly: TypeAlias = Annotated[bool, typer.Option("--locked", help="Refuse a chart that charts.lock does not pin.")]

RollbackOnFailure: TypeAlias = Annotated[
    bool, typer.Option("--rollback-on-failure", help="Take back what the run did, where a step of it fails.")
]

ClearPending: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Clear what another Helm has begun and not ended, too.")
]
