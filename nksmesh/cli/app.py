"""The command tree: a table of commands, each imported only when it is called or its help is shown."""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from typer.main import get_command, get_group

from nksmesh import __version__
from nksmesh.cli.command import Group, with_common_options
from nksmesh.cli.failure import fail
from nksmesh.cli.options import Given, Shell
from nksmesh.domain.common.errors import ConfigError
from nksmesh.report.report import Output
from nksmesh.report.streams import replace_what_cannot_be_written, write_out

PROGRAM: Final = "nksmesh"

COMMANDS: Final = {
    "install": "nksmesh.cli.install",
    "plan": "nksmesh.cli.plan",
    "upgrade": "nksmesh.cli.upgrade",
    "adopt": "nksmesh.cli.adopt",
    "canary": "nksmesh.cli.canary",
    "tag": "nksmesh.cli.tag",
    "traffic": "nksmesh.cli.traffic",
    "dashboard": "nksmesh.cli.dashboard",
    "inject": "nksmesh.cli.inject",
    "gateway": "nksmesh.cli.gateway",
    "sample": "nksmesh.cli.sample",
    "addons": "nksmesh.cli.addons",
    "template": "nksmesh.cli.plan",
    "check": "nksmesh.cli.check",
    "status": "nksmesh.cli.status",
    "history": "nksmesh.cli.history",
    "rollback": "nksmesh.cli.rollback",
    "drift": "nksmesh.cli.drift",
    "repair": "nksmesh.cli.repair",
    "uninstall": "nksmesh.cli.uninstall",
    "regions": "nksmesh.cli.catalog",
    "versions": "nksmesh.cli.catalog",
    "guide": "nksmesh.cli.guide",
    "values": "nksmesh.cli.values",
    "env": "nksmesh.cli.env",
    "init": "nksmesh.cli.init",
    "charts": "nksmesh.cli.charts",
    "images": "nksmesh.cli.images",
    "bundle": "nksmesh.cli.bundle",
    "registry": "nksmesh.cli.registry",
    "istioctl": "nksmesh.cli.istioctl",
    "sandbox": "nksmesh.cli.sandbox",
}
"""Every command or group of commands at the top level, as the help lists them, and the module whose ``app`` has it."""


class LazyCommands(MutableMapping[str, Any]):
    """The commands of COMMANDS, each built when it is asked for; Typer takes it for its dictionary of commands."""

    def __init__(self) -> None:
        self._modules: dict[str, str] = dict(COMMANDS)
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Import a command's module and build the command: the module's group, or the one of its name in there."""
        if name not in self._built:
            group = get_group(importlib.import_module(self._modules[name]).app)
            command = group.commands.get(name, group)
            command.name = name
            self._built[name] = command
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command that is built already."""
        self._modules[name] = ""
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        """Take a command away."""
        del self._modules[name]
        self._built.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        """Go through the names; nothing is imported."""
        return iter(self._modules)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._modules)


class RootGroup(Group):
    """The top level."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": LazyCommands()})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        """Return the names without importing a command."""
        return list(self.commands)


def make_app() -> typer.Typer:
    """Make the top level: its own options, ``--version`` and the shell completion."""
    app = typer.Typer(
        cls=RootGroup,
        name=PROGRAM,
        help="Install and operate Istio on NHN Kubernetes Service, with images from the region's own registry.",
        epilog="Example:\n\n  $ nksmesh install --region kr1",
        context_settings={"help_option_names": ["--help", "-h"]},
        invoke_without_command=True,  # --version is a question of its own
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
    )
    app.callback()(with_common_options(_begin, own=[_VERSION]))
    return app


_VERSION: Final = inspect.Parameter(
    "version",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--version", help="Print the version of nksmesh.")],
)


def run_app(arguments: list[str]) -> int:
    """Run a command line.

    Returns:
        The exit code; whatever went wrong has been shown.
    """
    replace_what_cannot_be_written()
    if "--no-color" in arguments:
        os.environ["NO_COLOR"] = "1"  # Typer's help asks nothing else
    try:
        return int(get_command(make_app()).main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer keeps the class to itself, and has shown the help
            return ConfigError.exit_code
        return fail(_shell_of(arguments, error), _usage_error(error))
    except Exception as error:  # noqa: BLE001 - a command's module that cannot be imported is shown as any other bug
        return fail(_shell_of(arguments), error)


def _begin(context: typer.Context, options: Given, own: dict[str, Any]) -> None:
    """Keep what was given before the command's name."""
    if own["version"]:
        write_out(f"{PROGRAM} {__version__}\n")
        raise typer.Exit
    context.obj = options
    if context.invoked_subcommand is None:
        if options != Given():
            context.fail("Missing command.")
        write_out(context.get_help())
        raise typer.Exit(ConfigError.exit_code)


def _usage_error(error: typer.TyperException) -> ConfigError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROGRAM
    message = error.format_message().rstrip(".")
    return ConfigError(message[:1].lower() + message[1:], hint=f"Run {path} --help to see its usage.")


def _shell_of(arguments: Sequence[str], error: Exception | None = None) -> Shell:
    """Tell from a command line that cannot be parsed how its user wants the failure shown."""
    context = getattr(error, "ctx", None)
    named = context.command_path.split()[1:] if context else [word for word in arguments if word in COMMANDS][:1]
    output = Output.TEXT
    for argument, following in itertools.pairwise([*arguments, ""]):
        match = re.fullmatch(r"(?:--output(?:=|$)|-[qv]*o=?)(.*)", argument)
        value = (match.group(1) or following) if match else ""
        if value in list(Output):
            output = Output(value)
    given = Given(debug="--debug" in arguments, no_color="--no-color" in arguments, verbose="-v" in arguments)
    return replace(given.shell(" ".join(named)), output=output)
