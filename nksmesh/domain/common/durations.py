"""Durations as users write them: ``90s``, ``5m``, ``1m30s``, ``0``."""

from __future__ import annotations

import re
from typing import Final

from nksmesh.domain.common.errors import ConfigError

LONGEST: Final = 24 * 3600.0
"""A day, in seconds: longer than any rollout, so anything above is a slip of the pen."""

_HINT: Final = "Write it as 90s, 5m or 1m30s."
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BARE: Final = re.compile(r"\d{1,6}", re.ASCII)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


def parse_duration(text: str, option: str, *, least: float = 0.0) -> float:
    """Read a duration.

    Args:
        text: Such as ``5m``, ``1m30s``, ``500ms`` or ``0``.
        option: The option it was given to, for the error.
        least: The least it may be, in seconds.

    Returns:
        Seconds, from ``least`` to LONGEST.

    Raises:
        ConfigError: It is not a duration, is negative, too short, or longer than a day.
    """
    written = text.strip().lower()
    parts = list(_PART.finditer(written))
    if written == "0":
        seconds = 0.0
    elif parts and "".join(part.group(0) for part in parts) == written:
        seconds = sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)
    else:
        hint = f"It needs a unit: {written}s is seconds, {written}m is minutes." if _BARE.fullmatch(written) else _HINT
        raise ConfigError(f"{option}: {text!r} is not a duration", hint=hint)
    if seconds > LONGEST:
        raise ConfigError(f"{option}: {text} is longer than a day", hint=_HINT)
    if seconds < least:
        raise ConfigError(f"{option}: {text} is shorter than {spoken(least)}", hint=_HINT)
    return seconds


def spoken(seconds: float) -> str:
    """Write seconds as a reader says them: ``0.8s``, ``42s``, ``1m30s``."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenth still tells something
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
