"""Checks files against their published JSON schemas, with the line of what is wrong.

Reads the few JSON Schema keywords those schemas use: importing jsonschema costs 90 ms of every run, which is more than
everything else that is done with these files. A test holds the two to the same verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.documents import Document, KeyPath
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps

SCHEMAS: Final = Path(__file__).parent / "schemas"

KEYWORDS: Final = frozenset(
    {"$schema", "title", "description", "type", "additionalProperties", "properties", "required", "propertyNames"}
    | {"enum", "pattern", "minLength", "maxLength", "items", "minItems", "maxItems", "minimum", "maximum"}
)
"""What this module understands; a schema may use nothing else."""

_TYPES: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "object": (dict, "a map"),
    "array": (list, "a list"),
    "string": (str, "a string"),
    "boolean": (bool, "true or false"),
    "integer": (int, "a whole number"),
    "number": ((int, float), "a number"),
}


@cache
def schema_named(name: str) -> Mapping[str, Any]:
    """Load a published schema: ``mesh``, ``profile``, ``region`` or ``versions``."""
    loaded: Mapping[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


def check_document(document: Document, schema: str) -> Document:
    """Return a document that its schema admits.

    Raises:
        ConfigError: It does not; the message names the file, the line and the key.
    """
    _check(document, document.values, schema_named(schema), ())
    return document


def _check(document: Document, value: Any, schema: Mapping[str, Any], path: KeyPath) -> None:
    kind, spoken = _TYPES[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(document, path, f"must be {spoken}, not {_told(value)}", _quoting(schema, value))
    if isinstance(value, Mapping):
        _check_map(document, value, schema, path)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            raise _wrong(document, path, f"must have {schema['minItems']} items, not {len(value)}", "")
        for index, item in enumerate(value):
            _check(document, item, schema.get("items", {}), (*path, index))
    elif isinstance(value, str):
        _check_text(document, value, schema, path)
    elif kind is int and not schema["minimum"] <= value <= schema["maximum"]:
        raise _wrong(document, path, f"cannot be {value}", schema.get("description", ""))


def _check_map(document: Document, value: Mapping[str, Any], schema: Mapping[str, Any], path: KeyPath) -> None:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    names = schema.get("propertyNames", {})
    for key, inner in value.items():
        if not re.search(names.get("pattern", ""), key):
            pattern, hint = names["pattern"], names.get("description", "")
            raise _wrong(document, (*path, key), f"the key does not look like {pattern}", hint)
        if key in properties:
            _check(document, inner, properties[key], (*path, key))
        elif others is False:
            raise ConfigError(
                f"{document.at((*path, key))}: there is no key {spoken((*path, key))!r}",
                hint=perhaps(key, properties, "keys"),
            )
        elif isinstance(others, Mapping):
            _check(document, inner, others, (*path, key))
    for key in schema.get("required", ()):
        if key not in value:
            raise _wrong(document, path, f"lacks the key {key!r}", f"Add {key}: {properties[key]['description']}")


def _check_text(document: Document, value: str, schema: Mapping[str, Any], path: KeyPath) -> None:
    if value not in schema.get("enum", (value,)):
        raise _wrong(document, path, f"cannot be {value!r}", perhaps(value, schema["enum"], "choices"))
    pattern = schema.get("pattern", "")
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    # A pattern's $ stops before a last newline in Python, but not in JSON Schema.
    if not fits or not re.search(pattern, value) or (pattern and value.endswith("\n")):
        raise _wrong(document, path, f"cannot be {value!r}", schema.get("description", ""))


def _wrong(document: Document, path: KeyPath, problem: str, hint: str) -> ConfigError:
    subject = spoken(path) or "the file"
    return ConfigError(f"{document.at(path)}: {subject} {problem}", hint=hint or "Correct it and run again.")


def _quoting(schema: Mapping[str, Any], value: Any) -> str:
    if schema["type"] == "string" and not isinstance(value, (dict, list)) and value is not None:
        return f"Put it in quotes. {schema.get('description', '')}".strip()
    return str(schema.get("description", ""))


def _told(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a map"
        case list():
            return "a list"
        case str():
            return f"the string {value!r}"
        case _:
            return f"the number {value}"


def spoken(path: KeyPath) -> str:
    """Name a key: ``gateways[0].load_balancer``."""
    words = ""
    for step in path:
        words += f"[{step}]" if isinstance(step, int) else ("." if words else "") + step
    return words
