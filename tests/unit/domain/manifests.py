"""Objects as an API server writes them, from YAML text."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import yaml


def read(text: str) -> dict[str, Any]:
    """Read one object."""
    found: dict[str, Any] = yaml.safe_load(dedent(text))
    return found


def read_all(text: str) -> list[dict[str, Any]]:
    """Read objects that ``---`` sets apart."""
    return [one for one in yaml.safe_load_all(dedent(text)) if one]
