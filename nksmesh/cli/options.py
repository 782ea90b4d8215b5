"""The options every command has, and the frozen value they become; and those that several have, each written once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from nksmesh.report.report import Output, Report

COMMON: Final = "Options of every command"


@dataclass(frozen=True, kw_only=True)
class Shell:
    """What surrounds a command: where it works and how it speaks.

    Attributes:
        command: The command's name as a user types it, such as ``charts fetch``.
        kubeconfig: The file of ``--kubeconfig``; empty is KUBECONFIG's, or the user's own.
        context: The context of ``--context``; empty is the kubeconfig's current one.
        helm: The program of ``--helm`` or NKSMESH_HELM; empty is the one that is found.
        namespace: The namespace of ``--namespace``; empty is the environment's, or istio-system.
        output: What stdout gets.
        quiet: Say nothing but the result, warnings and errors.
        color: Colour where the terminal has it.
        debug: Show the traceback of an error.
    """

    command: str
    kubeconfig: str = ""
    context: str = ""
    helm: str = ""
    namespace: str = ""
    output: Output = Output.TEXT
    quiet: bool = False
    verbose: bool = False
    color: bool = True
    debug: bool = False

    @property
    def report(self) -> Report:
        """How this command speaks."""
        return Report(
            command=self.command, output=self.output, quiet=self.quiet, verbose=self.verbose, color=self.color
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """The same options as they were given at one level of the command line; None is not given."""

    kubeconfig: str | None = None
    context: str | None = None
    helm: str | None = None
    namespace: str | None = None
    output: Output | None = None
    quiet: bool | None = None
    verbose: bool | None = None
    no_color: bool | None = None
    debug: bool | None = None

    def over(self, weaker: Given) -> Given:
        """Lay what was given here over what was given further left."""
        return Given(**{name: getattr(weaker, name) if value is None else value for name, value in vars(self).items()})

    def shell(self, command: str) -> Shell:
        """Make the value a command gets, with the environment's say where nothing was given."""
        return Shell(
            command=command,
            kubeconfig=self.kubeconfig or "",
            context=self.context or "",
            helm=self.helm or os.environ.get("NKSMESH_HELM", ""),
            namespace=self.namespace or "",
            output=self.output or Output.TEXT,
            quiet=bool(self.quiet),
            verbose=bool(self.verbose),
            color=not self.no_color and not os.environ.get("NO_COLOR"),
            debug=bool(self.debug),
        )


def given(
    kubeconfig: Annotated[
        str | None,
        typer.Option(
            "--kubeconfig",
            metavar="FILE",
            rich_help_panel=COMMON,
            help="The kubeconfig to use, instead of the one in KUBECONFIG.",
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context", metavar="NAME", rich_help_panel=COMMON, help="The context to use, instead of the current one."
        ),
    ] = None,
    helm: Annotated[
        str | None,
        typer.Option(
            "--helm", metavar="FILE", rich_help_panel=COMMON, help="The helm program to use (or NKSMESH_HELM)."
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            rich_help_panel=COMMON,
            help="The control plane's namespace. Default: istio-system.",
        ),
    ] = None,
    output: Annotated[
        Literal["text", "json", "yaml"] | None,
        typer.Option(
            "--output",
            "-o",
            rich_help_panel=COMMON,
            help="The format of stdout. json and yaml have the same structure.",
        ),
    ] = None,
    quiet: Annotated[
        bool | None,
        typer.Option("--quiet", "-q", rich_help_panel=COMMON, help="Print only the result, warnings and errors."),
    ] = None,
    verbose: Annotated[
        bool | None, typer.Option("--verbose", "-v", rich_help_panel=COMMON, help="Print more detail.")
    ] = None,
    no_color: Annotated[
        bool | None,
        typer.Option("--no-color", rich_help_panel=COMMON, help="Print without colour (or set NO_COLOR)."),
    ] = None,
    debug: Annotated[
        bool | None,
        typer.Option("--debug", rich_help_panel=COMMON, help="Show the traceback of an error, for a bug report."),
    ] = None,
) -> Given:
    """Collect what was given; its signature is what every command's options are extended by."""
    return Given(
        kubeconfig=kubeconfig,
        context=context,
        helm=helm,
        namespace=namespace,
        output=None if output is None else Output(output),
        quiet=quiet,
        verbose=verbose,
        no_color=no_color,
        debug=debug,
    )


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
