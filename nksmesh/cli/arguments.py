"""Options that several commands have, each written once: a command's parameter takes its type from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

EnvironmentName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        metavar="NAME",
        help="An environment: a folder in values/environments, such as sandbox or prod.",
    ),
]
Directory: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="The folder with your own values/ and charts.lock (see nksmesh init)."),
]
ChartSource: TypeAlias = Annotated[
    str,
    typer.Option(
        "--charts",
        metavar="SOURCE",
        help="A Helm repository's URL, or a folder of chart archives or unpacked charts. "
        "Default: Istio's own repository.",
    ),
]
LockedOnly: TypeAlias = Annotated[
    bool, typer.Option("--locked", help="Refuse charts that are not pinned in charts.lock.")
]

RollbackOnFailure: TypeAlias = Annotated[
    bool, typer.Option("--rollback-on-failure", help="If a step fails, roll back what the run has done.")
]

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

ClearPending: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Also clear releases that another Helm process left pending.")
]

Timeout: TypeAlias = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for each component to be ready.")
]

_LEAST_TIMEOUT: Final = 1.0
"""Seconds: Helm counts its own in whole ones, and takes none for no limit."""


def timeout_seconds(text: str) -> float:
    """Read what ``--timeout`` was given, in seconds.

    Raises:
        ConfigError: It is no duration, or shorter than a second.
    """
    from nksmesh.domain.common.durations import parse_duration

    return parse_duration(text, "--timeout", least=_LEAST_TIMEOUT)
