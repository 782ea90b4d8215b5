"""Helm's grammar of ``--set`` and its kind, read rune by rune as Helm's pkg/strvals reads it.

What Helm takes in silence and then leaves out or misreads is refused here: an empty key, a lone backslash at the end,
something right after a list's ``}``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from nksmesh.domain.values.layers import SetPath, dotted
from nksmesh.domain.values.set_integers import INT64, kept_integer

Convert: TypeAlias = Callable[[str, SetPath], Any]
"""From a value as it is written, and its path, to what is assigned."""

MAX_INDEX: Final = 65536
"""Helm's own limit (pkg/strvals, MaxIndex)."""

MAX_LEVELS: Final = 30
"""Helm's own limit of dots that follow a key (pkg/strvals, MaxNestedNameLevel)."""

_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_INTEGER: Final = re.compile(r"(?P<sign>[-+]?)0*(?P<digits>[0-9]+)")
_MOST_DIGITS: Final = len(str(2**63))
"""What has more is no int64; of 4300 and more Python makes no int at all."""


class GrammarError(Exception):
    """What is wrong with an option, without its values, which may be secrets.

    Attributes:
        path: The key that was being read; empty where a comma began another one.
    """

    def __init__(self, path: SetPath, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def typed(text: str) -> Any:
    """Give a value its type by Helm's rules: a leading zero keeps a number a string, and so does a point."""
    folded = text.casefold()
    if folded in _WORDS:
        return _WORDS[folded]
    number = _integer(text) if text == "0" or not text.startswith("0") else None
    return text if number is None or number not in INT64 else kept_integer(number)


class Reader:
    """Reads the assignments of one option.

    Args:
        text: What follows the component's colon.
        convert: Makes a value of what is written; None where values are JSON.
    """

    def __init__(self, text: str, convert: Convert | None) -> None:
        self._text = text
        self._convert = convert
        self._at = 0
        self._path: SetPath = ()
        self.found: list[tuple[SetPath, Any]] = []

    def read(self) -> None:
        """Read to the end; ``found`` has what was read so far, each path with its value.

        Raises:
            GrammarError: It is not in the grammar.
        """
        while self._at < len(self._text):
            self._assignment()
        if not self.found:
            raise self._wrong("it sets no value")

    def _assignment(self) -> None:
        self._path = ()
        self._path = (self._name(),)
        levels = 0
        while True:
            match self._take():
                case "=":
                    self.found.append((self._path, self._json() if self._convert is None else self._value()))
                    return
                case "[":
                    self._path = (*self._path, self._index())
                case ".":
                    levels += isinstance(self._path[-1], str)
                    if levels > MAX_LEVELS:
                        raise self._wrong(f"the key has more than {MAX_LEVELS} levels, which is Helm's limit")
                    self._path = (*self._path, self._name())
                case "," | "":
                    raise self._wrong("the key has no value")
                case _:
                    raise self._wrong("unexpected text after an index")

    def _name(self) -> str:
        name = self._until("=[,.")
        if not name:
            raise self._wrong("a key is empty")
        return name

    def _index(self) -> int:
        text = self._until("]")
        if self._take() != "]":
            raise self._wrong("an index does not end with ']'")
        number = _integer(text)
        if number is None or not 0 <= number <= MAX_INDEX:
            raise self._wrong(f"the content of [] is not an index from 0 to {MAX_INDEX}")
        return number

    def _value(self) -> Any:
        if self._text[self._at : self._at + 1] == "{":
            self._take()
            return self._list()
        value = self._converted(self._until(","))
        self._take()
        return value

    def _list(self) -> list[Any]:
        items: list[Any] = []
        while True:
            item = self._until(",}")
            stop = self._take()
            if not stop:
                raise self._wrong("a list does not end with '}'")
            items.append(self._converted(item))  # {} is a list of one empty string, as in Helm
            if stop == "}":
                break
        if self._take() not in {",", ""}:
            raise self._wrong("unexpected text after a list's '}'")
        return items

    def _converted(self, text: str) -> Any:
        assert self._convert is not None  # noqa: S101 - JSON is read elsewhere
        return self._convert(text, self._path)

    def _json(self) -> Any:
        """Read one JSON value, and the comma behind it; nothing at all is null, as in Helm."""
        self._skip_blanks()
        if self._text[self._at : self._at + 1] in {",", ""}:
            self._take()
            return None
        try:
            value, self._at = decode_json(self._text, self._at)
        except ValueError as problem:
            raise self._wrong(f"the value is not JSON: {problem}") from problem
        self._skip_blanks()
        if self._take() not in {",", ""}:
            raise self._wrong("unexpected text after the JSON value")
        return value

    def _skip_blanks(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

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

    def _wrong(self, reason: str) -> GrammarError:
        return GrammarError(self._path, reason)


def decode_json(text: str, start: int = 0) -> tuple[Any, int]:
    """Read a JSON value as Go's encoding/json does, where every number is a float64.

    Returns:
        The value, and where in the text it ends.

    Raises:
        ValueError: It is no JSON; says what is wrong, and where, without a word of the text.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as problem:
        raise ValueError(f"{problem.msg}, at character {problem.pos - start + 1}") from problem
    except UnicodeEncodeError as problem:
        raise ValueError("it contains half of a surrogate pair") from problem
    except RecursionError as problem:
        raise ValueError("it is nested too deeply") from problem
    return value, end


def _json_number(text: str) -> float | int:
    real = float(text)
    if not math.isfinite(real):
        raise ValueError("a number is too large for a float64")
    # Go keeps the sign of a zero.
    return int(text) if text.lstrip("-").isdigit() and text != "-0" else real


def _no_number(_text: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not valid JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_json_number, parse_int=_json_number, parse_constant=_no_number)


def _integer(text: str) -> int | None:
    """Read an integer as Go's strconv does, base 10; None where it is none, or far too long."""
    matched = _INTEGER.fullmatch(text)
    if matched is None or len(matched["digits"]) > _MOST_DIGITS:
        return None
    return int(matched["sign"] + matched["digits"])


def told(found: list[tuple[SetPath, Any]]) -> str:
    """Name the keys that were assigned; the keys of a JSON object that stands alone, in braces."""
    return ",".join(dotted(path) if path else f"{{{','.join(map(dotted, zip(value)))}}}" for path, value in found)
