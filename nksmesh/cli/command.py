"""Commands: functions of a Shell and their own options, which get the options of every command beside these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar, get_args, get_origin, overload

import typer
from typer.core import TyperCommand, TyperGroup

from nksmesh.cli.failure import fail
from nksmesh.cli.options import Given, Shell

P = ParamSpec("P")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., None])

_CONTEXT: Final = "typer_context"
_COMMON: Final = inspect.signature(Given, eval_str=True).parameters


class Group(TyperGroup):
    """A group of commands, in whose help no flag names a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options, Typer's own too."""
        return _adjusted(super().get_params(ctx))


class _Command(TyperCommand):
    """A command, in whose help no flag names a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options and arguments, Typer's own too."""
        return _adjusted(super().get_params(ctx))


def command_group(help_text: str = "", *, cls: type[Group] = Group) -> typer.Typer:
    """Make the app of one command module; COMMANDS in nksmesh.cli.app names it.

    Args:
        help_text: The sentence of a group (``nksmesh charts``); empty where its commands stand at the top level.
        cls: What reads the group's command line.
    """
    app = typer.Typer(
        cls=cls, help=help_text, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
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
        invoke(context, Given(**common), values)

    parameters = [
        inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *_COMMON.values())),
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks at first
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return callback


def _adjusted(parameters: list[Any]) -> list[Any]:
    """Have flags shown as flags, and texts read without pydantic."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""  # behind each, and behind its own ``--help``, Typer would write the type
        own = getattr(parameter, "get_runtime_param", None)
        if own is not None and not isinstance(own, _Coercion):
            parameter.get_runtime_param = _Coercion(own)
    return parameters


@dataclass(frozen=True)
class _Coercion:
    """What makes an option's value of what was typed: Typer's own way, but where the text is the value already.

    Typer imports pydantic for the first value that it coerces and builds a validator for each option, 0.2 s of
    processor time in all, also where nothing was given. nksmesh's options are texts, lists of texts and choices.

    Attributes:
        own: Typer's ``get_runtime_param``, which makes its own coercion.
    """

    own: Callable[[], Any]

    def __call__(self) -> _Coercion:
        """Stand in for ``get_runtime_param``."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a value as the command gets it; a Typer error says what is wrong with it."""
        annotation = param.type_descriptor.annotation
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if many and annotation == list[str] and not isinstance(value, str):
            return list(value)
        if not many and (type(value) is annotation or _is_choice(annotation, value)):
            return value  # a text, or a default of another type
        return self.own().coerce(value, param=param, ctx=ctx)


def _is_choice(annotation: Any, value: Any) -> bool:
    return get_origin(annotation) is Literal and value in get_args(annotation)


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
