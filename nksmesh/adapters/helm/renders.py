"""Renders that Helm made before, kept on disk: ``helm template`` reads nothing but what the key of a render names.

Each is a file below renders/ of the cache, named by the digest of all that it depends on, and holds a digest of its
own text: what is damaged counts as absent. Only their owner can read them, and what may hold a secret is not kept.
What is written to a cluster never comes from here: Helm renders it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.private import write_private
from nksmesh.adapters.helm.program import HelmProgram
from nksmesh.domain.plan.diff import masked_value

_MOST: Final = 1000
"""How many are kept; one of istiod takes some 15 KB. Those that were not used for the longest time go first."""

_SECRET: Final = re.compile(r"""kind["']?\s*:\s*["']?Secret\b""")
_FASTEST: Final = 1


class Renders:
    """The renders of one user.

    Args:
        cache: The folder that nksmesh keeps its cache in; renders/ is made in it when the first is kept.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "renders"

    def find(self, key: str) -> str | None:
        """Return the render of a key; None where there is none, or it is damaged."""
        path = self._folder / key
        try:
            digest, _, packed = path.read_bytes().partition(b"\n")
            text = zlib.decompress(packed)
            os.utime(path)
        except (OSError, zlib.error):
            return None
        return text.decode() if hashlib.sha256(text).hexdigest().encode() == digest else None

    def keep(self, key: str, text: str, values: Mapping[str, Any]) -> None:
        """Keep a render, unless it or its values may hold a secret; a cache that cannot be written keeps nothing."""
        if _SECRET.search(text) or masked_value(values) != values:
            return
        content = text.encode()
        seal = hashlib.sha256(content).hexdigest().encode()
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._folder / key, seal + b"\n" + zlib.compress(content, _FASTEST))
            self._forget_old()

    def _forget_old(self) -> None:
        with os.scandir(self._folder) as found:
            kept = sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in kept[_MOST:]:
            Path(entry.path).unlink(missing_ok=True)


def render_key(helm: HelmProgram, chart_digest: str, arguments: Sequence[object], values: Mapping[str, Any]) -> str:
    """Name a render by all that it depends on.

    Args:
        helm: The program that renders: by its version and size, so that it may be installed again, or elsewhere.
        chart_digest: ``sha256:<hex>`` of the chart.
        arguments: Whatever else Helm is told.
    """
    size = helm.path.stat().st_size if helm.path.exists() else 0  # it is gone: whoever starts it says so
    parts = [str(helm.version), size, chart_digest, *arguments, values]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
