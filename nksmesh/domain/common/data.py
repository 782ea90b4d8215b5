"""Results as JSON has them: a dataclass is its fields, by name and in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

HIDDEN: Final[Mapping[str, bool]] = {"hidden": True}
"""Metadata of a field that JSON does not have."""

MERGED: Final[Mapping[str, bool]] = {"merged": True}
"""Metadata of a field whose own keys stand in its place."""


def named(key: str) -> Mapping[str, str]:
    """Return the metadata of a field that has another name in JSON."""
    return {"key": key}


def rounded(digits: int) -> Mapping[str, int]:
    """Return the metadata of a number of which JSON has so many digits behind the point."""
    return {"digits": digits}


def data_of(value: Any) -> Any:
    """Turn a value into what JSON and YAML can hold.

    A dataclass whose JSON is not its fields has ``json_form()``, which returns the keys and values instead; these
    may again be of any kind. What is none of the kinds below (a path, a date) is its text.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if is_dataclass(value):
        return data_of(value.json_form() if hasattr(value, "json_form") else fields_of(value))
    if isinstance(value, Mapping):
        return {data_of(key): data_of(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [data_of(element) for element in value]
    return str(value)


def fields_of(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields as its metadata say, for a ``json_form()`` that adds to them or replaces some."""
    found: dict[str, Any] = {}
    for field in fields(value):
        element, metadata = getattr(value, field.name), field.metadata
        if metadata.get("merged"):
            found |= data_of(element)
        elif not metadata.get("hidden"):
            key = metadata.get("key", field.name)
            found[key] = round(element, metadata["digits"]) if "digits" in metadata else element
    return found


def known_fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what data has of a dataclass's fields; keys that a later nksmesh wrote are passed over."""
    return {field.name: data[field.name] for field in fields(kind) if field.name in data}
