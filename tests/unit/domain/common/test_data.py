"""A dataclass as JSON has it: its fields, and what their metadata change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nksmesh.domain.common.data import HIDDEN, MERGED, data_of, fields_of, named, rounded


class Level(StrEnum):
    HIGH = "high"


@dataclass(frozen=True, kw_only=True)
class Inner:
    secret: str = field(default="hunter2", metadata=HIDDEN)
    took: float = field(default=1.23456, metadata=rounded(2))


@dataclass(frozen=True, kw_only=True)
class Outer:
    title: str = field(default="x", metadata=named("name"))
    inner: Inner = field(default=Inner(), metadata=MERGED)
    level: Level = Level.HIGH
    nothing: None = None
    parts: tuple[Inner, ...] = (Inner(),)


@dataclass(frozen=True, kw_only=True)
class More(Outer):
    def json_form(self) -> dict[str, Any]:
        return fields_of(self) | {"level": "low", "more": (Level.HIGH,)}


def test_a_dataclass_is_its_fields_in_their_order() -> None:
    data = data_of(Outer())
    assert data == {"name": "x", "took": 1.23, "level": "high", "nothing": None, "parts": [{"took": 1.23}]}
    assert list(data) == ["name", "took", "level", "nothing", "parts"]
    assert type(data["level"]) is str


def test_a_form_of_its_own_may_begin_with_the_fields() -> None:
    data = data_of(More())
    assert list(data) == ["name", "took", "level", "nothing", "parts", "more"]
    assert (data["level"], data["more"]) == ("low", ["high"])


def test_mappings_lists_and_what_has_no_form_in_json() -> None:
    value = MappingProxyType({Level.HIGH: [Path("/a"), date(2026, 1, 2), True, 1, 1.5, None]})
    assert data_of(value) == {"high": ["/a", "2026-01-02", True, 1, 1.5, None]}


def test_a_result_is_read_and_not_changed() -> None:
    values = {"a": {"b": [1]}}
    data = data_of(values)
    data["a"]["b"].append(2)
    assert values == {"a": {"b": [1]}}
