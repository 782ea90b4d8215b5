"""Go's templates, parsed: as much of text/template's grammar as it takes to say what a template reads.

The grammar is that of https://pkg.go.dev/text/template. Text between the actions is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

_COMMENT: Final = re.compile(r"\{\{(?:-\s)?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<word>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<char>'(?:\\.|[^'\\\n])+')
    |(?P<chain>\$\w*(?:\.\w+)*|\.(?:[^\W\d]\w*(?:\.\w+)*)?)
    |(?P<number>[+-]?\.?\d[\w.]*(?:[eE][+-]\d+)?)
    |(?P<name>\w+(?:\.\w+)*)
    |(?P<mark>:=|[=|(),])
    )""",
    re.VERBOSE,
)
_OPENING: Final = frozenset({"if", "with", "range", "define", "block"})
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class NotATemplateError(ValueError):
    """A text that this parser cannot read as a Go template."""


class Operand(NamedTuple):
    """One operand of a command.

    Attributes:
        kind: ``field`` (``.a.b``), ``variable`` (``$x.a``), ``word`` (a string), ``name`` (a function, true, nil),
            ``number``, or ``group`` (a pipeline in parentheses).
        text: The variable's or function's name, or the string.
        keys: The fields that are read of it, in order.
        group: The pipeline in parentheses.
    """

    kind: str
    text: str = ""
    keys: tuple[str, ...] = ()
    group: Pipeline | None = None


Command: TypeAlias = tuple[Operand, ...]


class Pipeline(NamedTuple):
    """A pipeline: its commands in order, and the variables that its result goes to."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()


@dataclass(slots=True)
class Action:
    """One action, with what is inside of it.

    Attributes:
        kind: ``output``, ``if``, ``with``, ``range``, ``template``, ``define``, ``block``, ``break`` or ``continue``.
        pipeline: Its pipeline, where it has one.
        name: The name of the template that it calls or defines.
        body: What is inside.
        otherwise: What is in its ``else``.
    """

    kind: str
    pipeline: Pipeline | None = None
    name: str = ""
    body: list[Action] = field(default_factory=list)
    otherwise: list[Action] = field(default_factory=list)


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def parse(text: str) -> list[Action]:
    """Parse a template.

    Raises:
        NotATemplateError: It is not one, or uses what this parser does not know.
    """
    root = Action("root")
    # Each open action with the list that what follows goes to, and how many ends close it: else-if opens one more.
    opened: list[tuple[Action, list[Action], int]] = [(root, root.body, 0)]
    for head in _heads(text):
        outer, body, ends = opened[-1]
        if head.kind == "end":
            del opened[len(opened) - ends :]
        elif head.kind == "else":
            opened[-1] = (outer, outer.otherwise, ends)
            if head.inner is not None:
                opened.append(_begun(head.inner, outer.otherwise, ends + 1))
        elif head.kind in _OPENING:
            opened.append(_begun(head, body, 1))
        else:
            body.append(Action(head.kind, head.pipeline, head.name))
        if head.kind in {"end", "else"} and outer is root:
            raise NotATemplateError(f"an {head.kind} without a beginning")
    if len(opened) != 1:
        raise NotATemplateError(f"{opened[-1][0].kind} has no end")
    return root.body


class _Head(NamedTuple):
    """What one pair of braces says; ``inner`` is the action of an ``else if``."""

    kind: str
    pipeline: Pipeline | None = None
    name: str = ""
    inner: _Head | None = None


def _begun(head: _Head, body: list[Action], ends: int) -> tuple[Action, list[Action], int]:
    action = Action(head.kind, head.pipeline, head.name)
    body.append(action)
    return action, action.body, ends


def _heads(text: str) -> Iterator[_Head]:
    position = 0
    while (start := text.find("{{", position)) >= 0:
        if comment := _COMMENT.match(text, start):
            position = comment.end()
            continue
        end = start
        while True:
            end = text.find("}}", end + 2)
            if end < 0:
                raise NotATemplateError(f"{text[start : start + 40]!r} is not closed")
            head = _head(text[start + 2 : end])
            if head is not None:  # else these braces stand in a string
                break
        position = end + 2
        yield head


@lru_cache(maxsize=4096)
def _head(action: str) -> _Head | None:
    """Read what stands between braces, most of which a chart says many times; None where a string is not closed."""
    action = action.removesuffix("-").strip()
    if action[:1] == "-" and action[1:2].isspace():
        action = action[1:].lstrip()
    tokens: list[_Token] = []
    position = 0
    while position < len(action):
        found = _TOKEN.match(action, position)
        if found is None or found.lastgroup is None:
            if action[position:].lstrip()[:1] in {'"', "`", "'"}:
                return None
            raise NotATemplateError(f"cannot read {action!r}")
        position = found.end()
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup), position))
    return _head_of(tokens)


def _head_of(tokens: Sequence[_Token]) -> _Head:
    kind = tokens[0].text if tokens and tokens[0].kind == "name" else ""
    if kind in {"end", "break", "continue"} and len(tokens) == 1:
        return _Head(kind)
    if kind == "else":
        return _Head(kind, inner=_head_of(tokens[1:]) if tokens[1:] else None)
    if kind in {"if", "with", "range"}:
        return _Head(kind, _Reader(tokens[1:]).whole())
    if kind in {"template", "define", "block"}:
        if len(tokens) == 1 or tokens[1].kind != "word":
            raise NotATemplateError(f"{kind} without a name")
        return _Head(kind, _Reader(tokens[2:]).whole() if tokens[2:] else None, _string(tokens[1].text))
    return _Head("output", _Reader(tokens).whole())


class _Reader:
    """Reads pipelines off the tokens of an action."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Pipeline:
        pipeline = self._pipeline()
        if self._at != len(self._tokens):
            raise NotATemplateError(f"unexpected {self._tokens[self._at].text!r}")
        return pipeline

    def _pipeline(self) -> Pipeline:
        variables = self._variables()
        commands: list[Command] = []
        operands: list[Operand] = []
        while (token := self._peek()) is not None and token.text != ")":
            if token.kind == "mark" and token.text == "|":
                self._at += 1
                commands.append(tuple(operands))
                operands = []
            else:
                operands.append(self._operand())
        commands.append(tuple(operands))
        if not all(commands):
            raise NotATemplateError("a pipeline has no command")
        return Pipeline(tuple(commands), variables)

    def _variables(self) -> tuple[str, ...]:
        """Read ``$a :=``, ``$a =`` or ``$a, $b :=`` off the start, where it stands there."""
        names: list[str] = []
        at = self._at
        while at + 1 < len(self._tokens) and self._tokens[at].text.startswith("$"):
            names.append(self._tokens[at].text)
            mark = self._tokens[at + 1].text
            at += 2
            if mark in {":=", "="}:
                self._at = at
                return tuple(names)
            if mark != ",":
                break
        return ()

    def _operand(self) -> Operand:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "chain":
            first, *keys = token.text.split(".")
            keys = [key for key in keys if key]
            return Operand("variable", first, tuple(keys)) if first else Operand("field", "", tuple(keys))
        if token.kind == "word":
            return Operand("word", _string(token.text))
        if token.text == "(":
            return self._group()
        if token.kind == "mark":
            raise NotATemplateError(f"expected an operand, found {token.text!r}")
        return Operand("number" if token.kind == "char" else token.kind, token.text)

    def _group(self) -> Operand:
        group = self._pipeline()
        closing = self._peek()
        if closing is None:
            raise NotATemplateError("a parenthesis is not closed")
        self._at += 1
        after = self._peek()
        if after is not None and after.kind == "chain" and after.start == closing.end and after.text[0] == ".":
            self._at += 1
            return Operand("group", "", tuple(after.text.split(".")[1:]), group)
        return Operand("group", "", (), group)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None


def _string(literal: str) -> str:
    return literal[1:-1] if literal[0] == "`" else _ESCAPE.sub(r"\1", literal[1:-1])
