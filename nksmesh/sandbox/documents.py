"""YAML in and out: the sandbox's only use of PyYAML."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
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


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)
