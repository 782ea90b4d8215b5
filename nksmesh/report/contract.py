"""The published JSON schemas: of the envelope, and of each command's ``data``.

They are additive only: a key may be added, none may go or change its type, and readers ignore what they do not know.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

ENVELOPE: Final = "envelope"

_FOLDER: Final = files("nksmesh.report") / "schemas"


def schema_names() -> tuple[str, ...]:
    """List the commands that have a schema, as users type them."""
    names = (entry.name.removesuffix(".json") for entry in _FOLDER.iterdir() if entry.name.endswith(".json"))
    return tuple(sorted(name.replace("-", " ") for name in names if name != ENVELOPE))


def schema_of(command: str) -> dict[str, Any]:
    """Read the schema of a command's ``data``, or of the envelope.

    Args:
        command: The command as a user types it (``charts list``), or ENVELOPE.
    """
    text = (_FOLDER / f"{command.replace(' ', '-')}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
