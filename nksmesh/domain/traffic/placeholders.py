"""Placeholders in a recipe's objects: structured data with values put in, never text that is parsed again.

``${name}`` as a whole string becomes the value, of whatever type; inside a longer string, or in a key, its text. A key
or item whose value is absent goes, and so does a map or list of which nothing is left. ``{$each: NAME, $item: X}`` is
a list: X for each item of the value NAME, with ``${each}`` or ``${each.KEY}`` in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

EACH: Final = "$each"
ITEM: Final = "$item"

_PLACEHOLDER: Final = re.compile(r"\$\{([a-z_]+(?:\.[a-z]+)?)\}")
_ABSENT: Final = object()


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Put values in; None where nothing is left."""
    filled = _fill(template, values)
    return None if filled is _ABSENT else filled


def names_in(template: Any) -> Iterator[str]:
    """Yield the names of the values that a template asks for; those of ``each`` are the items' own."""
    if isinstance(template, Mapping):
        for key, part in template.items():
            yield from (part,) if key == EACH else (*names_in(key), *names_in(part))
    elif isinstance(template, list):
        for part in template:
            yield from names_in(part)
    elif isinstance(template, str):
        yield from (name for name in _PLACEHOLDER.findall(template) if name.partition(".")[0] != "each")


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        return _map(template, values)
    if isinstance(template, list):
        return _left([_fill(part, values) for part in template], template)
    return _text(template, values) if isinstance(template, str) else template


def _map(template: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    if EACH in template:
        items = values.get(template[EACH])
        if items is None:
            return _ABSENT
        return [_fill(template[ITEM], {**values, **_of_item(item)}) for item in items]
    filled = {str(_text(key, values)): _fill(part, values) for key, part in template.items()}
    left = {key: part for key, part in filled.items() if part is not _ABSENT}
    return _ABSENT if template and not left else left


def _left(filled: list[Any], template: list[Any]) -> Any:
    left = [part for part in filled if part is not _ABSENT]
    return _ABSENT if template and not left else left


def _of_item(item: Any) -> Mapping[str, Any]:
    return {f"each.{key}": value for key, value in item.items()} if isinstance(item, Mapping) else {"each": item}


def _text(template: str, values: Mapping[str, Any]) -> Any:
    whole = _PLACEHOLDER.fullmatch(template)
    if whole:
        return values.get(whole[1], _ABSENT)
    if any(name not in values for name in _PLACEHOLDER.findall(template)):
        return _ABSENT
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)
