"""Data as JSON and as YAML, for ``-o`` and for values in text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import indent as indented
from typing import Any


def json_text(data: Mapping[str, Any]) -> str:
    """Write data as JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=_plain) + "\n"


def yaml_text(data: Mapping[str, Any], *, indent: int = 0) -> str:
    """Write data as YAML.

    Args:
        data: What ``data_of`` returned, or values.
        indent: Columns to leave free on the left.
    """
    import yaml  # noqa: PLC0415 - 19 ms, and few commands show YAML

    # By way of JSON: the safe writer knows no enumerations, paths, tuples or read-only mappings.
    plain = json.loads(json.dumps(data, default=_plain))
    text = str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
    return indented(text, " " * indent)


def one_line(value: Any) -> str:
    """Write one value as it could stand behind ``key:`` in a values file."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
