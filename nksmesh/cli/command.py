"""Commands: functions of a Shell and their own options, which get the options of every command beside these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, overload

import typer
from typer.core import TyperCommand, TyperGroup

from nksmesh.cli.failure import fail
from nksmesh.cli.options import Given, Shell, given

P = ParamSpec("P")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., None])

_CONTEXT: Final = "typer_context"
_COMMON: Final = inspect.signature(given, eval_str=True).parameters


class Group(TyperGroup):
    """A group of commands, in whose help no flag names a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options, Typer's own too."""
        return _without_values(super().get_params(ctx))


class _Command(TyperCommand):
    """A command, in whose help no flag names a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options and arguments, Typer's own too."""
        return _without_values(super().get_params(ctx))


def command_group(help_text: str = "") -> typer.Typer:
    """Make the app of one command module; COMMANDS in nksmesh.cli.app names it.

    Args:
        help_text: The sentence of a group (``nksmesh charts``); empty where its commands stand at the top level.
    """
    app = typer.Typer(
        cls=Group, help=help_text, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
    )
    app.callback()(with_common_options(_remember))
    return app


@overload
def command(
    app: typer.Typer, name: str | None = None, *, examples: Sequence[str], hidden: bool = False
) -> Callable[[Callable[Concatenate[Shell, P], None]], Callable[Concatenate[Shell, P], None]]: ...


@overload
def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    examples: Sequence[str],
    shared: Callable[..., S],
    hidden: bool = False,
) -> Callable[[Callable[Concatenate[Shell, S, P], None]], Callable[Concatenate[Shell, S, P], None]]: ...


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    examples: Sequence[str],
    shared: Callable[..., Any] | None = None,
    hidden: bool = False,
) -> Callable[[F], F]:
    """Make a function a command of an app: its docstring is the help, its parameters after the Shell the options.

    The function is returned as it was, so that a test may call it with a Shell of its own.

    Args:
        app: What ``command_group`` returned.
        name: Where the function cannot have the command's name (``list``).
        examples: Command lines, at least one, as a user would type them.
        shared: Options that several commands have: a function whose parameters are the options, and whose result
            the command gets after the Shell.
        hidden: Leave it out of the help.
    """
    shared_options = inspect.signature(shared, eval_str=True).parameters if shared else {}

    def register(function: F) -> F:
        def invoke(context: typer.Context, options: Given, own: dict[str, Any]) -> None:
            shell = options.over(_given_before(context)).shell(_command_name(context))
            try:
                first = [shared(**{key: own.pop(key) for key in shared_options})] if shared else []
                function(shell, *first, **own)
            except typer.Exit:
                raise
            except (Exception, KeyboardInterrupt) as error:
                raise typer.Exit(fail(shell, error)) from error

        passed = 2 if shared else 1
        own_options = list(inspect.signature(function, eval_str=True).parameters.values())[passed:]
        callback = with_common_options(invoke, [*shared_options.values(), *own_options])
        app.command(
            name or function.__name__.replace("_", "-"),
            cls=_Command,
            help=inspect.getdoc(function),
            epilog=_epilog(examples),
            hidden=hidden,
        )(callback)
        return function

    return register


def with_common_options(
    invoke: Callable[[typer.Context, Given, dict[str, Any]], None], own: Sequence[inspect.Parameter] = ()
) -> Callable[..., None]:
    """Make the function that Typer reads its options from: a command's own, then those of every command."""

    def callback(**values: Any) -> None:
        context = values.pop(_CONTEXT)
        common = {name: values.pop(name) for name in _COMMON}
        invoke(context, given(**common), values)

    parameters = [
        inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *_COMMON.values())),
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks at first
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return callback


def _without_values(parameters: list[Any]) -> list[Any]:
    """Have flags shown as flags: behind each, and behind its own ``--help``, Typer would write the type."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _epilog(examples: Sequence[str]) -> str:
    title = "Example:" if len(examples) == 1 else "Examples:"
    # A bracket is markup to Typer, and a single line break a space.
    return "\n\n".join((title, *("$ " + line.replace("[", r"\[") for line in examples)))


def _remember(context: typer.Context, options: Given, _own: Mapping[str, Any]) -> None:
    """Keep what was given before the command's name."""
    context.obj = options.over(_given_before(context))


def _given_before(context: typer.Context) -> Given:
    before = context.parent.obj if context.parent else None
    return before if isinstance(before, Given) else Given()


def _command_name(context: typer.Context) -> str:
    names: list[str] = []
    step: Any = context
    while step.parent is not None:
        names.insert(0, step.info_name or "")
        step = step.parent
    return " ".join(names)
