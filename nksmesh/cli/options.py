"""The options every command has, and the frozen value they become; and those that several have, each written once."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from nksmesh.report.report import Output, Report

_common: Final = functools.partial(typer.Option, rich_help_panel="Options of every command")


@dataclass(frozen=True, kw_only=True)
class Shell:
    """What surrounds a command: where it works and how it speaks.

    Attributes:
        command: The command's name as a user types it, such as ``charts fetch``.
        kubeconfig: The file of ``--kubeconfig``; empty is KUBECONFIG's, or the user's own.
        context: The context of ``--context``; empty is the kubeconfig's current one.
        helm: The program of ``--helm`` or NKSMESH_HELM; empty is the one that is found.
        namespace: The namespace of ``--namespace``; empty is the environment's, or istio-system.
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

    @functools.cached_property
    def report(self) -> Report:
        """How this command speaks: one report, for it keeps what it has shown."""
        return Report(
            command=self.command, output=self.output, quiet=self.quiet, verbose=self.verbose, color=self.color
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """The same options as they were given at one level of the command line, which Typer reads; None is not given."""

    kubeconfig: Annotated[
        str | None,
        _common("--kubeconfig", metavar="FILE", help="The kubeconfig to use, instead of the one in KUBECONFIG."),
    ] = None
    context: Annotated[
        str | None,
        _common("--context", metavar="NAME", help="The context to use, instead of the current one."),
    ] = None
    helm: Annotated[
        str | None,
        _common("--helm", metavar="FILE", help="The helm program to use (or NKSMESH_HELM)."),
    ] = None
    namespace: Annotated[
        str | None,
        _common(
            "--namespace",
            "-n",
            metavar="NAME",
            help="The control plane's namespace. Default: istio-system. For traffic and dashboard: the Service's. "
            "For sample: the sample's.",
        ),
    ] = None
    output: Annotated[
        Literal["text", "json", "yaml"] | None,
        _common("--output", "-o", help="The format of stdout. json and yaml have the same structure."),
    ] = None
    quiet: Annotated[
        bool | None,
        _common("--quiet", "-q", help="Print only the result, warnings and errors."),
    ] = None
    verbose: Annotated[bool | None, _common("--verbose", "-v", help="Print more detail.")] = None
    no_color: Annotated[
        bool | None,
        _common("--no-color", help="Print without colour (or set NO_COLOR)."),
    ] = None
    debug: Annotated[
        bool | None,
        _common("--debug", help="Show the traceback of an error, for a bug report."),
    ] = None

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
            output=Output(self.output or Output.TEXT),
            quiet=bool(self.quiet),
            verbose=bool(self.verbose),
            color=not self.no_color and not os.environ.get("NO_COLOR"),
            debug=bool(self.debug),
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
        help="A Helm repository's URL, a registry (oci://HOST/PATH), or a folder of chart archives or unpacked charts. "
        "Default: Istio's own repository.",
    ),
]
LockedOnly: TypeAlias = Annotated[
    bool, typer.Option("--locked", help="Refuse charts that are not pinned in charts.lock.")
]

ForceVersion: TypeAlias = Annotated[
    bool, typer.Option("--force-version", help="Continue even if this version is not supported here.")
]

Offline: TypeAlias = Annotated[
    bool,
    typer.Option("--offline", help="Connect to the API server and the registry only: fetch no charts."),
]
Sha256: TypeAlias = Annotated[
    str,
    typer.Option("--sha256", metavar="HEX", help="What the bundle must be: nksmesh bundle create prints it."),
]
RegistryConfig: TypeAlias = Annotated[
    Path | None,
    typer.Option("--registry-config", metavar="FILE", help="The config.json with this machine's registry logins."),
]
PlainHttp: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--plain-http", metavar="HOST", help="A registry that speaks HTTP. Can be repeated."),
]

DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")]

RollbackOnFailure: TypeAlias = Annotated[
    bool, typer.Option("--rollback-on-failure", help="If a step fails, roll back what the run has done.")
]

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

ClearPending: TypeAlias = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask. Also clear releases that another Helm process left pending."),
]

Timeout: TypeAlias = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for each component to be ready.")
]

IstioSamples: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--samples",
        metavar="FOLDER",
        help="The folder samples of an Istio release. Default: what nksmesh istioctl fetch fetched last.",
    ),
]
ImageHub: TypeAlias = Annotated[
    str, typer.Option("--image-hub", metavar="HUB", help="A registry path that the images are pulled from instead.")
]
GatewayName: TypeAlias = Annotated[
    str, typer.Option("--gateway", metavar="NAME", help="The gateway's release. Default: the only one.")
]
AddressWait: TypeAlias = Annotated[
    str, typer.Option("--wait", metavar="DURATION", help="How long to wait for the load balancer's address.")
]
