"""The gateway charts whose values schema newer Helms refuse (istio-facts 2.5)."""

from __future__ import annotations

import re
from typing import Final

STRICT_SCHEMAS: Final = (3, 18, 5)
"""From this Helm on the charts below are refused for their own defaults (istio #57354, helm #31160)."""

_VERSION: Final = re.compile(r"1\.(\d+)\.(\d+)")
_FIRST, _LAST = 21, 27
_FIXED: Final = {25: 5, 26: 4, 27: 1}


def has_broken_schema(version: str) -> bool:
    """Tell the gateway charts whose schema lacks their own defaults: 1.21.0 to 1.27.0, less those that mend it."""
    found = _VERSION.match(version)
    if found is None:
        return False
    minor, patch = int(found[1]), int(found[2])
    return _FIRST <= minor <= _LAST and patch < _FIXED.get(minor, patch + 1)
