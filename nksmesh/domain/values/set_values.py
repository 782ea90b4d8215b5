r"""``--set COMPONENT:KEY=VALUE`` and its kind, in the grammar of Helm's own.

Dots part keys (``\.`` is a dot within one), ``[0]`` is a list's item, ``{a,b}`` a list, a comma begins the next
assignment. With ``--set``, ``true``, ``false``, ``null`` and whole numbers are typed, and everything else is a string;
but a ``tag`` and a ``revision`` are never numbers, for the charts want strings. ``--set-string`` types nothing,
``--set-json`` reads JSON, ``--set-file`` reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.values.layers import Layer, LayerKind, Path, SetPath, copied, dotted, merge, value_at
from nksmesh.domain.values.set_grammar import GrammarError, Reader, decode_json, told, typed

_STRINGS: Final = frozenset({"tag", "revision"})
_GRAMMAR: Final = r"Write COMPONENT:KEY=VALUE, such as istiod:global.logging.level=default:debug; \. is a dot in a key."


class SetKind(StrEnum):
    """The options that set single values; a later one is stronger, as in Helm (pkg/cli/values, MergeValues)."""

    JSON = "--set-json"
    VALUE = "--set"
    STRING = "--set-string"
    FILE = "--set-file"


_HINTS: Final[Mapping[SetKind, str]] = {
    SetKind.JSON: """Write COMPONENT:KEY=JSON, quoted for the shell: --set-json 'istiod:pilot.env={"KEY": "value"}'.""",
    SetKind.FILE: "Write COMPONENT:KEY=PATH, such as istiod:meshConfig.rootCA=certs/root.pem.",
}


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One key and its value.

    Attributes:
        path: Map keys, and list indexes as ints; empty for a JSON object that is merged as a whole.
        value: A string, an int, a bool, None, or a list of those; with ``--set-json`` whatever JSON has.
    """

    path: SetPath
    value: Any


@dataclass(frozen=True, kw_only=True)
class SetOption:
    """A ``--set`` option or one of its kind, read.

    Attributes:
        target: The component or release it is for.
        assignments: What it assigns, in order.
    """

    kind: SetKind = SetKind.VALUE
    target: str
    assignments: tuple[Assignment, ...]

    @property
    def layer_name(self) -> str:
        """Name it without its values, which may be secrets."""
        return f"{self.kind} {self.target}:{told([(setting.path, setting.value) for setting in self.assignments])}"


def parse_set(text: str, kind: SetKind = SetKind.VALUE, read: Callable[[str], str] | None = None) -> SetOption:
    """Read one option.

    Args:
        text: What it was given.
        read: Reads a file of ``--set-file``.

    Raises:
        ConfigError: It is not in the grammar, or a file cannot be read; the message has the keys and what is wrong,
            but no value, for that may be a secret.
    """
    if any("\ud800" <= rune <= "\udfff" for rune in text):  # so Python has the bytes of another encoding
        raise ConfigError(f"{kind}: it is not UTF-8", hint="Check the encoding of the terminal or of the script.")
    target, colon, rest = text.partition(":")
    hint = _HINTS.get(kind, _GRAMMAR)
    if not colon or not target or "=" in target:
        raise ConfigError(f"{kind} {text.partition('=')[0]}: it does not name a component", hint=hint)
    if kind is SetKind.JSON and rest.lstrip().startswith("{"):
        assigned: list[tuple[SetPath, Any]] = [((), _object(rest.strip(), f"{kind} {target}", hint))]
    else:
        assigned = _assigned(rest, f"{kind} {target}", kind, read)
    return SetOption(
        kind=kind, target=target, assignments=tuple(Assignment(path=path, value=value) for path, value in assigned)
    )


def set_layer(option: SetOption, under: Mapping[str, Any]) -> Layer:
    """Turn an option into a layer over the values beneath it.

    An index (``ports[0].port=8080``) changes one item, so the layer holds the whole list as it is then. A map that
    JSON gives to a key takes the place of the one beneath, as in Helm; only an object that stands alone is merged.
    """
    working = copied(under)
    layer: dict[str, Any] = {}
    replaces: list[Path] = []
    for assignment in option.assignments:
        if not assignment.path:
            working, layer = merge(working, assignment.value), merge(layer, assignment.value)
            continue
        _assign(working, assignment.path, copied(assignment.value), option.layer_name)
        keys = tuple(step for step in _until_index(assignment.path) if isinstance(step, str))
        value = value_at(working, keys)
        _assign(layer, keys, copied(value), option.layer_name)
        replaces += [keys] if isinstance(value, Mapping) else []
    return Layer(name=option.layer_name, values=layer, kind=LayerKind.SET, replaces=tuple(replaces))


def _object(text: str, named: str, hint: str) -> Mapping[str, Any]:
    """Read a JSON object that stands for a whole ``--set-json`` (Helm 3.18 and later)."""
    try:
        value, end = decode_json(text)
    except ValueError as problem:
        raise ConfigError(f"{named}: the value is not JSON: {problem}", hint=hint) from problem
    if end != len(text) or not isinstance(value, Mapping) or not value:
        fault = "it sets no value" if end == len(text) else "unexpected text after the JSON object"
        raise ConfigError(f"{named}: {fault}", hint=hint)
    return value


def _assigned(text: str, named: str, kind: SetKind, read: Callable[[str], str] | None) -> list[tuple[SetPath, Any]]:
    def convert(value: str, path: SetPath) -> Any:
        match kind:
            case SetKind.STRING:
                return value
            case SetKind.FILE:
                return _content(value, f"{named}:{dotted(path)}", read)
        found = typed(value)
        return found if found is None or path[-1] not in _STRINGS else value

    reader = Reader(text, None if kind is SetKind.JSON else convert)
    try:
        reader.read()
    except GrammarError as problem:
        hint = _HINTS.get(kind, _GRAMMAR)
        if not reader.found:
            raise ConfigError(f"{named}:{dotted(problem.path)}: {problem.reason}", hint=hint) from problem
        # What follows a comma may be the rest of a value, and is not repeated.
        raise ConfigError(
            f"{named}:{told(reader.found)}: after the comma that follows it, {problem.reason}",
            hint=rf"{hint} A comma within a value is written \,",
        ) from problem
    return reader.found


def _content(path: str, named: str, read: Callable[[str], str] | None) -> str:
    """Read a file of ``--set-file``."""
    if not path:
        raise ConfigError(f"{named}: no file is given", hint=_HINTS[SetKind.FILE])
    assert read is not None  # noqa: S101 - whoever takes --set-file reads files
    try:
        return read(path)
    except ConfigError as problem:
        raise ConfigError(f"{named}: {problem.message}", hint=problem.hint) from problem


def _assign(values: dict[str, Any], path: SetPath, value: Any, named: str) -> None:
    """Set one path in ``values``, making the maps and lists on the way; a list is filled up with nulls.

    A null on the way gives way, and so does an item of a list where a map is wanted, as in Helm.
    """
    here: Any = values
    for depth, step in enumerate(path, 1):
        below = path[depth] if depth < len(path) else None
        if isinstance(step, int):
            here.extend([None] * (step + 1 - len(here)))
            present = here[step]
        else:
            present = here.get(step)
        if below is None:
            here[step] = value
            return
        wanted: type = list if isinstance(below, int) else dict
        if not isinstance(present, wanted):
            if present is not None and not (isinstance(step, int) and wanted is dict):
                kind = "a list" if isinstance(present, list) else "a map" if isinstance(present, dict) else "no map"
                raise ConfigError(
                    f"{named}: {dotted(path[:depth])} is {kind} in the layers below",
                    hint="Set the key as a whole, or use the path that the values have: nksmesh values show COMPONENT.",
                )
            here[step] = wanted()
        here = here[step]


def _until_index(path: SetPath) -> SetPath:
    return next((path[:at] for at, step in enumerate(path) if isinstance(step, int)), path)
