"""YAML documents, read as Helm reads them, each key with the line it stands on.

Helm's YAML differs from PyYAML's in what a plain scalar means (no dates, no sexagesimal numbers, ``1e3`` is a number)
and turns every key into a string. A key that stands twice is an error here: Helm would silently take one of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from nksmesh.domain.common.errors import ConfigError

KeyPath: TypeAlias = tuple[str | int, ...]

LARGEST: Final = 4 * 1024 * 1024
"""Bytes: no values file of a person comes near, and YAML's aliases must not blow up."""

_DEEPEST: Final = 100
_MOST_NODES: Final = 200_000
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = "plain"
_NEVER_WRAP: Final = 1 << 20
_MOST_DIGITS: Final = 300
"""What has more is larger than any float, and a string to Helm; Python itself refuses to read 4300 as an int."""
_INT64: Final = range(-(2**63), 2**64)
_INT: Final = re.compile(r"(?P<sign>[-+])?(0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?(?P<octal>[0-7]+)|0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """A YAML document that is a map.

    Attributes:
        path: The file as a reader knows it.
        lines: The line of each key and each list item, by path, from 1.
    """

    path: str
    values: Mapping[str, Any] = field(repr=False)
    lines: Mapping[KeyPath, int] = field(repr=False)

    def at(self, path: KeyPath) -> str:
        """Name a place in the file: ``values/x.yaml, line 3``."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.path}, line {self.lines[path[:length]]}"
        return self.path


def read_document(file: Path, shown: str = "") -> Document:
    """Read a YAML file whose one document is a map; an empty file is an empty map.

    Args:
        shown: Its path for messages; the file's own where empty.

    Raises:
        ConfigError: It cannot be read, is not UTF-8 or not YAML, has two documents or a key twice, or is not a map.
            The message names the file and the line.
    """
    name = shown or str(file)
    return parse_document(read_bytes(file, name), name)


def read_bytes(file: Path, name: str) -> bytes:
    """Read a file of a user's that goes into values.

    Args:
        name: The file as a reader knows it.

    Raises:
        ConfigError: It cannot be read, or is too large.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except OSError as problem:
        raise ConfigError(
            f"{name} cannot be read: {problem.strerror}", hint="Check the path and its permissions."
        ) from problem
    if len(raw) > LARGEST:
        raise ConfigError(
            f"{name} is larger than {LARGEST // 1024 // 1024} MiB",
            hint="Use a smaller file: its contents go into Helm's record, which is limited to about 1 MiB.",
        )
    return raw


def decode(raw: bytes, name: str, *, encoding: str = "utf-8") -> str:
    """Decode a file of a user's.

    Args:
        name: The file as a reader knows it.
        encoding: ``utf-8``, or ``utf-8-sig`` to leave out a byte order mark.

    Raises:
        ConfigError: It is not UTF-8; the message names the line.
    """
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise ConfigError(f"{name}, line {line}: it is not UTF-8", hint="Save the file as UTF-8.") from problem


def parse_document(raw: bytes, name: str) -> Document:
    """Parse YAML of one document that is a map; empty documents beside it mean nothing.

    Args:
        name: The file as a reader knows it.

    Raises:
        ConfigError: As ``read_document`` says.
    """
    text = decode(raw, name, encoding="utf-8-sig")
    loader = _Loader(text)
    nodes = []
    try:
        while loader.check_node():
            nodes.append(loader.get_node())
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line_told = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{name}{line_told}: it is not YAML: {problem.problem or problem.context}",
            hint="Check the indentation, quotes and colons around that line.",
        ) from problem
    except (yaml.YAMLError, RecursionError) as problem:
        raise ConfigError(
            f"{name}: it is not YAML: {str(problem).splitlines()[0]}", hint="Check the file's contents."
        ) from problem
    finally:
        loader.dispose()
    written = [node for node in nodes if not _is_empty(node)]
    if not written:
        return Document(path=name, values={}, lines={})
    if len(written) > 1:
        raise _several_documents(name, [_begins(node, _LINE_BREAK.split(text)) for node in written])
    (node,) = written
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}: it is not a map of keys and values", hint="Write it as KEY: VALUE lines.")
    reader = _Reader(name)
    return Document(path=name, values=reader.mapping(node, (), 0), lines=reader.lines)


def dump_document(values: Mapping[str, Any]) -> str:
    """Write a document so that ``read_document``, and Helm, read the same from it again."""
    return str(yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_WRAP))


def _is_empty(node: yaml.Node) -> bool:
    """Tell a document that says nothing: of comments alone, of a null, or of a map without keys."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag in {_PLAIN, f"{_TAG}null"} and _plain(node.value) is None
    return isinstance(node, yaml.MappingNode) and not node.value


def _begins(node: yaml.Node, text: list[str]) -> int:
    """Return the line, from 1, of the ``---`` before a document; without one, of its first word."""
    first: int = node.start_mark.line
    return next((line for line in range(first, -1, -1) if text[line].startswith("---")), first) + 1


def _several_documents(name: str, lines: list[int]) -> ConfigError:
    count = "two" if len(lines) == 2 else str(len(lines))  # noqa: PLR2004 - the usual case, in a word
    listed = " and ".join(filter(None, (", ".join(map(str, lines[:-1])), str(lines[-1]))))
    return ConfigError(
        f"{name}, line {lines[1]}: the file has {count} documents, which begin on lines {listed}",
        hint="Keep one document: Helm 3 reads the first one only, and Helm 4 merges them.",
    )


class _Dumper(yaml.SafeDumper):
    """PyYAML that quotes what would mean something else to Helm, and refers to nothing by alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.rstrip("\n") else None if _plain(text) == text else '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(int, yaml.SafeDumper.represent_int)


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML that leaves the meaning of plain scalars to us."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


_Loader.add_implicit_resolver(_PLAIN, re.compile(""), None)


class _Reader:
    """Turns YAML nodes into values, noting lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes = 0
        self.lines: dict[KeyPath, int] = {}

    def mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = {**self._merged(value_node, path, depth), **merged}
                continue
            key = self._key(key_node)
            if key in values:
                raise self._wrong(key_node, f"the key {key!r} appears twice", "Keep one of the two.")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, (*path, key), depth + 1)
        return {**merged, **values}

    def _merged(self, node: yaml.Node, path: KeyPath, depth: int) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise self._wrong(node, "<< takes a map or a list of maps", "Use the anchor of a map.")
            merged = {**self.mapping(part, path, depth + 1), **merged}
        return merged

    def _value(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise self._wrong(
                node, "it is nested too deeply, or its aliases make it too large", "Write it without aliases."
            )
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = item.start_mark.line + 1
                items.append(self._value(item, (*path, index), depth + 1))
            return items
        return self._scalar(node)

    def _key(self, node: yaml.Node) -> str:
        value = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if value is None:
            raise self._wrong(node, "a key is not a plain word", "Write KEY: VALUE.")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        match node.tag:
            case yaml.resolver.Resolver.DEFAULT_SCALAR_TAG:
                return text
            case tag if tag in {_PLAIN, f"{_TAG}null", f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float"}:
                value = _plain(text)
                if isinstance(value, float) and not math.isfinite(value):
                    raise self._wrong(node, f"{text} is not a number that values can have", "Write a finite number.")
                return value
            case tag:
                kind = tag.removeprefix(_TAG)
                raise self._wrong(node, f"the tag {kind!r} has no meaning in values", "Leave the tag out.")

    def _wrong(self, node: yaml.Node, problem: str, hint: str) -> ConfigError:
        return ConfigError(f"{self._name}, line {node.start_mark.line + 1}: {problem}", hint=hint)


def _plain(text: str) -> Any:
    """Give a plain scalar its meaning, as go-yaml 2 does under sigs.k8s.io/yaml (its resolve.go)."""
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if len(digits) <= _MOST_DIGITS and (matched := _INT.fullmatch(digits)):
        sign, octal = matched["sign"] or "", matched["octal"]
        number = int(f"{sign}0o{octal}" if octal else digits, 0)
        return number if number in _INT64 else float(number)
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        return real if math.isfinite(real) else text
    return text
