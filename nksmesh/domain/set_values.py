r"""``--set COMPONENT:KEY=VALUE``, in the grammar of Helm's own ``--set``.

Dots part keys (``\.`` is a dot within one), ``[0]`` is a list's item, ``{a,b}`` a list, a comma begins the next
assignment. ``true``, ``false``, ``null`` and whole numbers are typed; everything else is a string, and so is always the
value of ``tag`` and ``revision``, which the charts want as strings.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nksmesh.domain.errors import ConfigError
from nksmesh.domain.mesh import Layer

Step: TypeAlias = str | int

MAX_INDEX: Final = 65536
"""Helm's own limit (pkg/strvals, MaxIndex)."""

_STRINGS: Final = frozenset({"tag", "revision"})
_GRAMMAR: Final = r"Write COMPONENT:KEY=VALUE, such as istiod:global.logging.level=default:debug; \. is a dot in a key."
_INT64: Final = 2**63
_MOST_DIGITS: Final = len(str(_INT64))
"""What has more is no int64; of 4300 and more Python makes no int at all."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One key and its value.

    Attributes:
        path: Map keys, and list indexes as ints.
        value: A string, an int, a bool, None, or a list of those.
    """

    path: tuple[Step, ...]
    value: Any


@dataclass(frozen=True, kw_only=True)
class SetOption:
    """A ``--set`` option, read.

    Attributes:
        target: The component or release it is for.
        assignments: What it assigns, in order.
    """

    target: str
    assignments: tuple[Assignment, ...]

    @property
    def layer_name(self) -> str:
        """Name it without its values, which may be secrets."""
        return f"--set {self.target}:" + ",".join(_spoken(assignment.path) for assignment in self.assignments)


def parse_set(text: str) -> SetOption:
    """Read one ``--set`` option.

    Raises:
        ConfigError: It is not in the grammar; the message has the keys and what is wrong, but no value, for that may
            be a secret.
    """
    target, colon, rest = text.partition(":")
    if not colon or not target or "=" in target:
        raise ConfigError(f"--set {text.partition('=')[0]}: it does not say for which component", hint=_GRAMMAR)
    return SetOption(target=target, assignments=_Reader(rest, target).assignments())


def set_layer(option: SetOption, under: Mapping[str, Any]) -> Layer:
    """Turn an option into a layer over the values beneath it.

    An index (``ports[0].port=8080``) changes one item, so the layer holds the whole list as it is then.
    """
    working = copy.deepcopy(dict(under))
    layer: dict[str, Any] = {}
    for assignment in option.assignments:
        _assign(working, assignment.path, assignment.value, option.layer_name)
        keys = [step for step in _until_index(assignment.path) if isinstance(step, str)]
        value: Any = working
        for key in keys:
            value = value[key]
        _assign(layer, tuple(keys), copy.deepcopy(value), option.layer_name)
    return Layer(name=option.layer_name, values=layer, option="--set")


class _Reader:
    """Reads assignments rune by rune, as Helm's pkg/strvals does."""

    def __init__(self, text: str, target: str) -> None:
        self._text = text
        self._target = target
        self._at = 0
        self._path: list[Step] = []
        self._found: list[Assignment] = []

    def assignments(self) -> tuple[Assignment, ...]:
        while self._at < len(self._text):
            self._found.append(self._assignment())
        if not self._found:
            raise self._wrong("it assigns nothing")
        return tuple(self._found)

    def _assignment(self) -> Assignment:
        self._path = []
        self._path.append(self._name())
        while True:
            match self._take():
                case "=":
                    value = self._value(str(self._path[-1]))
                    return Assignment(path=tuple(self._path), value=value)
                case "[":
                    self._path.append(self._index())
                case ".":
                    self._path.append(self._name())
                case "," | "":
                    raise self._wrong("the key has no value")
                case _:
                    raise self._wrong("there is something right after an index")

    def _name(self) -> str:
        name = self._until("=[,.")
        if not name:
            raise self._wrong("a key is empty")
        return name

    def _index(self) -> int:
        written = self._until("]")
        if self._take() != "]":
            raise self._wrong("an index does not end with ']'")
        if not _is_number(written) or int(written) > MAX_INDEX:
            raise self._wrong(f"what is in [] is not an index from 0 to {MAX_INDEX}")
        return int(written)

    def _value(self, key: str) -> Any:
        if self._text[self._at : self._at + 1] == "{":
            self._take()
            return self._list(key)
        value = _typed(self._until(","), key)
        self._take()
        return value

    def _list(self, key: str) -> list[Any]:
        items: list[Any] = []
        while True:
            item = self._until(",}")
            stop = self._take()
            if not stop:
                raise self._wrong("a list does not end with '}'")
            items.append(_typed(item, key))  # {} is a list of one empty string, as in Helm
            if stop == "}":
                break
        if self._take() not in {",", ""}:
            raise self._wrong("there is something right after a list's '}'")
        return items

    def _take(self) -> str:
        rune = self._text[self._at : self._at + 1]
        self._at += len(rune)
        return rune

    def _until(self, stops: str) -> str:
        """Read up to one of ``stops``, which stays unread; a backslash takes the next rune as it is."""
        read = ""
        while (rune := self._text[self._at : self._at + 1]) and rune not in stops:
            self._at += 1
            if rune == "\\":
                rune = self._take()
                if not rune:
                    raise self._wrong("it ends with a lone backslash")
            read += rune
        return read

    def _wrong(self, what: str) -> ConfigError:
        """Say what is wrong and where; what follows a comma may be the rest of a value, and is not repeated."""
        keys = ",".join(_spoken(one.path) for one in self._found)
        if self._found:
            return ConfigError(
                f"--set {self._target}:{keys}: after the comma that follows it, {what}",
                hint=rf"{_GRAMMAR} A comma within a value is written \,",
            )
        return ConfigError(f"--set {self._target}:{_spoken(tuple(self._path))}: {what}", hint=_GRAMMAR)


def _typed(text: str, key: str) -> Any:
    """Give a value its type by Helm's rules: a leading zero keeps a number a string, and so does a point."""
    if key in _STRINGS:
        return text
    lowered = text.lower()
    if lowered in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[lowered]
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if _is_number(digits) and (text == "0" or not text.startswith("0")):
        number = int(text)
        return number if -_INT64 <= number < _INT64 else text
    return text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _assign(values: dict[str, Any], path: tuple[Step, ...], value: Any, named: str) -> None:
    """Set one path in ``values``, making the maps and lists on the way; a list is filled up with nulls."""
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
            if present is not None:
                kind = "a list" if isinstance(present, list) else "a map" if isinstance(present, dict) else "no map"
                raise ConfigError(
                    f"{named}: {_spoken(path[:depth])} is {kind} in the layers below",
                    hint="Set the key as a whole, or use the path that the values have: nksmesh values show COMPONENT.",
                )
            here[step] = wanted()
        here = here[step]


def _until_index(path: tuple[Step, ...]) -> tuple[Step, ...]:
    return next((path[:at] for at, step in enumerate(path) if isinstance(step, int)), path)


def _spoken(path: tuple[Step, ...]) -> str:
    words = ""
    for step in path:
        words += f"[{step}]" if isinstance(step, int) else ("." if words else "") + step.replace(".", "\\.")
    return words
