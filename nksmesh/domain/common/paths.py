"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def at_home(text: str) -> Path:
    """Read a path as a shell does: ``~`` is the user's home, and ``~kim`` kim's.

    The home of nobody stays as it is written, and then nothing is there, which whoever opens the file says.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib raises RuntimeError where there is no such user
