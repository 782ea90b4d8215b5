"""What an expression in a template may stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from nksmesh.domain.values.layers import Path

ANY: Final = "*"
"""In a path and among fields: any key of a map, any item of a list."""

LONGEST: Final = 16
"""No path is followed further than this; what is below is read whole."""


@dataclass(slots=True)
class Value:
    """Everything that an expression may stand for; nothing where it has nothing to do with the values.

    Attributes:
        paths: Places in ``.Values``; ``()`` is all of it.
        fields: The keys of a map, or the items of a list, that a template makes, or that it is rendered with.
        words: Strings; ``ANY`` is one that is not known.
        handed: It is a part of the values as they are, picked to be handed on.
        empty: It is the empty map that a template writes as ``dict``.
    """

    paths: set[Path] = field(default_factory=set)
    fields: dict[str, Value] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    handed: bool = False
    empty: bool = False


def union(*values: Value) -> Value:
    """Return what may stand for any of several."""
    if len(values) == 1:
        return values[0]
    fields: dict[str, Value] = {}
    for value in values:
        for key, item in value.fields.items():
            same = key not in fields or fields[key] is item
            fields[key] = item if same else union(fields[key], item)
    return Value(
        paths={path for value in values for path in value.paths},
        fields=fields,
        words={word for value in values for word in value.words},
        handed=bool(fields) and all(value.handed for value in values if value.paths or value.fields),
    )


def at(value: Value, key: str) -> Value:
    """Return what a field of a value may stand for."""
    paths = {(*path, key) if len(path) < LONGEST else path for path in value.paths}
    if not value.fields:
        return Value(paths=paths) if paths else Value(words={ANY})
    named = [name for name in (key, ANY) if name in value.fields]
    found = list(value.fields.values()) if key == ANY else [value.fields[name] for name in named]
    if not paths and len(found) == 1:
        return found[0]
    return union(Value(paths=paths), *found) if paths or found else Value(words={ANY})
