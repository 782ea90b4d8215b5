"""What a chart reads of its values: found in its templates, without rendering them.

Every template is followed with what each expression may stand for: places in ``.Values``, maps that the template makes
(the context of an ``include``), words. What is printed, or goes to a function that is not known here, is read with
everything below it; what is only tested, without. No branch is taken for dead. So this says too much rather than too
little: what is not in ``Reads``, no template reads.

Istio's charts from 1.21 lay the values of a profile and a user's over their defaults in a template of their own
(zzz_profile.yaml, zzy_descope_legacy.yaml): it is followed as any other, and where it merges one place into another, a
key of the first is a key of the second.

A chart that hands its values on as they are, as JSON for the templates below files/ (istiod, for the injector), reads
none by that: those templates do, and are followed as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nksmesh.domain.charts.go_templates import Action, NotATemplateError, Operand, Pipeline, parse
from nksmesh.domain.charts.template_values import ANY, LONGEST, Value, at, union
from nksmesh.domain.values.layers import Path

_SERIALIZERS: Final = frozenset({"toJson", "toPrettyJson", "toRawJson", "toYaml"})
_TESTS: Final = frozenset({"not", "empty", "kindIs", "kindOf", "typeOf", "typeIs"})
_MERGES: Final = frozenset({"merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite"})
_SAME: Final = frozenset({"deepCopy", "mustDeepCopy", "uniq", "compact", "reverse", "unset", "omit"})
_CONSTANTS: Final = frozenset({"true", "false", "nil"})


@dataclass(slots=True)
class Node:
    """What is read at a place in the values, and below it.

    Attributes:
        whole: All of it, whatever is in it.
        tested: Whether there is anything.
        below: What is read of its keys; ``ANY`` stands for every one.
    """

    whole: bool = False
    tested: bool = False
    below: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Reads:
    """What the templates of a chart read.

    Attributes:
        root: What is read of the values.
        handed_on: What is handed on as it is, for templates that are rendered later.
        merged: Places whose keys count at another place as well: from, to.
    """

    root: Node = field(default_factory=Node)
    handed_on: Node = field(default_factory=Node)
    merged: set[tuple[Path, Path]] = field(default_factory=set)


def reads_of(templates: Mapping[str, str], texts: Iterable[str] = ()) -> Reads:
    """Find out what a chart's templates read.

    Args:
        templates: The chart's files by their paths in it: those of templates/, and templates below files/. Of others
            (charts/) it cannot be told what they read: then all counts as read.
        texts: Strings of the values that are templates themselves, for ``tpl`` or the injector.

    Returns:
        What is read; everything where a file is not a template as ``go_templates`` knows them.
    """
    reads = Reads()
    try:
        _Following(reads).follow(templates, texts)
    except (NotATemplateError, RecursionError):
        reads.root.whole = True
    return reads


class _Following:
    """Follows the templates of one chart."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._defined: dict[str, list[list[Action]]] = {}
        self._seen: set[tuple[str, int | tuple[frozenset[Path], tuple[tuple[str, int], ...]]]] = set()
        self._kept: list[Value] = []
        self._later = Value()
        self._has_later = False

    def follow(self, templates: Mapping[str, str], texts: Iterable[str]) -> None:
        parsed = {name: parse(text) for name, text in templates.items()}
        own = [parse(text) for text in texts]
        for body in [*parsed.values(), *own]:
            self._define(body)
        now = Value(fields={"Values": Value({()})})
        self._has_later = any(name.startswith("files/") for name in parsed)
        self._reads.root.whole = not all(name.startswith(("files/", "templates/")) for name in parsed)
        # Helm renders a chart's templates in this order (engine: sortTemplates), so that the profile comes first.
        for name in sorted(parsed, key=lambda name: (name.count("/"), name), reverse=True):
            if name.startswith("templates/") and not name.endswith("/NOTES.txt"):
                self._body(parsed[name], now, [{"$": now}])
        later = Value(fields={"Values": self._later})
        for body in (*(body for name, body in parsed.items() if name.startswith("files/")), *own):
            self._body(body, later, [{"$": later}])
        for body in own:
            self._body(body, now, [{"$": now}])

    def _define(self, body: list[Action]) -> None:
        for action in body:
            if action.kind in {"define", "block"}:
                self._defined.setdefault(action.name, []).append(action.body)
            self._define(action.body)
            self._define(action.otherwise)

    def _body(self, body: list[Action], dot: Value, scopes: list[dict[str, Value]]) -> None:
        for action in body:
            if action.kind in {"define", "break", "continue"}:
                continue
            inner = [*scopes, {}] if action.kind != "output" else scopes
            value = self._pipeline(action.pipeline, dot, inner) if action.pipeline else Value()
            if action.kind == "output":
                if not (action.pipeline and action.pipeline.variables):
                    self._mark(value)
            elif action.kind in {"template", "block"}:
                self._call(action.name, value)
            elif action.kind == "range":
                self._range(action, value, dot, inner)
            else:
                self._test(value)
                self._body(action.body, value if action.kind == "with" else dot, inner)
                self._body(action.otherwise, dot, inner)

    def _range(self, action: Action, value: Value, dot: Value, scopes: list[dict[str, Value]]) -> None:
        item = at(value, ANY)
        self._test(item)
        variables = action.pipeline.variables if action.pipeline else ()
        key = Value(words={ANY} if value.paths or not value.fields else set(value.fields))
        scopes[-1].update(zip(reversed(variables), (item, key), strict=False))
        self._test(value)
        # What the body assigns is there when it begins again.
        for _ in range(2):
            before = [len(variable.paths) for scope in scopes for variable in scope.values()]
            self._body(action.body, item, [*scopes, {}])
            if before == [len(variable.paths) for scope in scopes for variable in scope.values()]:
                break
        self._body(action.otherwise, dot, scopes)

    def _pipeline(self, pipeline: Pipeline, dot: Value, scopes: list[dict[str, Value]]) -> Value:
        value: Value | None = None
        for command in pipeline.commands:
            value = self._command(command, value, dot, scopes)
        result = value or Value()
        for name in pipeline.variables:
            # An assignment in a branch may not have come about: the variable stands for what it was, too.
            scope = next((scope for scope in reversed(scopes) if name in scope), scopes[-1])
            scope[name] = union(scope[name], result) if name in scope and name != "$_" else result
        return result

    def _command(
        self, command: tuple[Operand, ...], piped: Value | None, dot: Value, scopes: list[dict[str, Value]]
    ) -> Value:
        first = command[0]
        if first.kind == "name" and first.text not in _CONSTANTS:
            arguments = [self._operand(operand, dot, scopes) for operand in command[1:]]
            if piped is not None:
                arguments.append(piped)
            return self._function(first.text, arguments)
        value = self._operand(first, dot, scopes)
        for operand in command[1:]:  # the arguments of a method: .Files.Get
            self._mark(self._operand(operand, dot, scopes))
        if piped is not None:
            self._mark(piped)
        return value

    def _operand(self, operand: Operand, dot: Value, scopes: list[dict[str, Value]]) -> Value:
        if operand.kind == "word":
            return Value(words={operand.text})
        if operand.kind == "group" and operand.group is not None:
            value = self._pipeline(operand.group, dot, scopes)
        elif operand.kind == "variable":
            value = next((scope[operand.text] for scope in reversed(scopes) if operand.text in scope), Value())
        elif operand.kind == "field":
            value = dot
        elif operand.kind == "name" and operand.text not in _CONSTANTS:
            return self._function(operand.text, [])
        else:
            return Value()
        for key in operand.keys:
            value = at(value, key)
        return value

    def _function(self, name: str, arguments: list[Value]) -> Value:  # noqa: C901, PLR0911, PLR0912 - one case a function
        match name, arguments:
            case "include", [called, context]:
                for word in called.words:
                    self._call(word, context)
                self._reads.root.whole |= called.words <= {ANY}
                return Value(words={ANY})
            case "tpl", [text, _]:
                # A string of the values is followed as one of ``texts``; what is put together here cannot be.
                self._mark(text)
                self._reads.root.whole |= not text.paths or bool(text.words)
                return Value(words={ANY})
            case "index" | "get", [value, *keys]:
                for key in keys:
                    value = self._key(value, key)
                return value
            case "hasKey", [value, key]:
                self._test(self._key(value, key))
            case "dig", [*keys, default, value]:
                for key in keys:
                    value = self._key(value, key)
                return union(value, default)
            case "pluck", [key, *values]:
                return Value(fields={ANY: union(*(self._key(value, key) for value in values))})
            case "dict", _:
                return self._dict(arguments)
            case "list" | "tuple", _:
                return Value(fields={ANY: union(*arguments)})
            case "append" | "prepend", [values, value]:
                return union(values, Value(fields={ANY: value}))
            case "concat", _:
                return union(*arguments)
            case "first" | "last", [value]:
                return at(value, ANY)
            case "values", [value]:
                return Value(fields={ANY: at(value, ANY)})
            case "keys" | "len", _:
                for value in arguments:
                    self._test(value)
                    self._test(at(value, ANY))
            case "pick", [value, *keys]:
                picked = {word: at(value, word) for key in keys for word in key.words}
                return Value(fields=picked, handed=self._is_root(value) or value.handed)
            case "set", [value, key, item]:
                self._set(value, key, item)
                return value
            case "required", [_, value]:
                self._test(value)
                return value
            case "ternary", [first, second, test]:
                self._test(test)
                return union(first, second)
            case "default" | "coalesce" | "and" | "or", [_, *_]:
                for value in arguments if not arguments[0].empty else ():  # nothing or an empty map is the same
                    self._test(value)
                return union(*arguments)
            case _ if name in _MERGES and arguments:
                for source in arguments[1:]:
                    self._merge(arguments[0], source)
                return union(*arguments)
            case _ if name in _SAME and arguments:
                for value in arguments[1:]:
                    self._mark(value)
                return arguments[0]
            case _ if name in _TESTS:
                for value in arguments:
                    self._test(value)
            case _ if name in _SERIALIZERS and self._has_later and self._hands_on(arguments):
                pass
            case _ if name in _SERIALIZERS:
                for value in arguments:
                    self._mark(value)
                return union(*arguments)
            case _:
                for value in arguments:
                    self._mark(value)
        return Value(words={ANY})

    def _dict(self, arguments: list[Value]) -> Value:
        made = Value(empty=not arguments)
        for key, item in zip(arguments[::2], arguments[1::2], strict=False):
            for word in key.words or {ANY}:
                made.fields[word] = union(made.fields[word], item) if word in made.fields else item
        return made

    def _key(self, value: Value, key: Value) -> Value:
        self._mark(key)
        return union(*(at(value, word) for word in key.words)) if key.words and not key.paths else at(value, ANY)

    def _set(self, value: Value, key: Value, item: Value) -> None:
        for word in key.words or {ANY}:
            value.fields[word] = item if word == "Values" else union(value.fields.get(word, Value()), item)
            self._link([(*path, word) for path in value.paths], item)
        value.empty = False

    def _merge(self, value: Value, source: Value) -> None:
        self._link(value.paths, source)
        for word, item in source.fields.items():
            self._set(value, Value(words={word}), item)
        if not value.paths:
            value.paths |= source.paths
        value.empty = False

    def _link(self, targets: Iterable[Path], source: Value) -> None:
        targets = tuple(targets)
        for path in source.paths:
            self._reads.merged.update((path, target) for target in targets if path != target)
        for word, item in source.fields.items():
            if targets and len(targets[0]) < LONGEST:
                self._link([(*target, word) for target in targets], item)

    def _call(self, name: str, context: Value) -> None:
        """Follow a template that is called, once with each context."""
        shape = (frozenset(context.paths), tuple((key, id(item)) for key, item in sorted(context.fields.items())))
        called = (name, id(context) if "Values" in context.fields and not context.paths else shape)
        if called not in self._seen:
            self._seen.add(called)
            self._kept.append(context)  # so that no other value takes its id
            for body in self._defined.get(name, ()):
                self._body(body, context, [{"$": context}])

    def _is_root(self, value: Value) -> bool:
        return any(path == () or ((), path) in self._reads.merged for path in value.paths)

    def _hands_on(self, arguments: list[Value]) -> bool:
        """Keep the values that are written out as they are; false where these are something else."""
        if not all(self._is_root(value) or value.handed for value in arguments):
            return False
        self._later = union(self._later, *arguments)
        for value in arguments:
            self._mark(value, self._reads.handed_on)
        return True

    def _test(self, value: Value) -> None:
        for path in value.paths:
            node = reach(self._reads.root, path)
            node.tested = True
            node.whole |= len(path) == LONGEST

    def _mark(self, value: Value, root: Node | None = None, depth: int = LONGEST) -> None:
        for path in value.paths:
            reach(root or self._reads.root, path).whole = True
        if depth:
            for item in value.fields.values():
                self._mark(item, root, depth - 1)


def reach(node: Node, path: Path) -> Node:
    """Return the node at a path below another one; nodes on the way that do not exist are made."""
    for key in path:
        node = node.below.setdefault(key, Node())
    return node
