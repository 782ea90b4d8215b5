"""YAML in and out: the sandbox's only use of PyYAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def to_yaml(documents: Iterable[dict[str, Any]]) -> str:
    """Write documents as one YAML stream, keys in the order given."""
    import yaml

    return str(yaml.safe_dump_all(documents, sort_keys=False))


def mapping_from_yaml(text: str) -> dict[str, Any]:
    """Read one mapping; anything else, broken YAML included, is an empty one."""
    import yaml

    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}
