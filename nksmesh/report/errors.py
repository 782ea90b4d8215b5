"""How an error looks: what failed, the failing tool's own words, where it was, what to do next."""

from __future__ import annotations

from typing import Final

from nksmesh.domain.common.errors import MeshError
from nksmesh.report.redaction import redact

DETAIL_LINES: Final = 20
"""Lines of a tool's own words that are shown; the last ones, for tools end with what failed. ``-v`` shows all."""


def error_lines(error: MeshError, *, verbose: bool = False) -> list[str]:
    """Return an error as the lines that stderr gets.

    Args:
        verbose: Show all of the tool's own words.
    """
    message, *more = redact(error.message).splitlines() or [""]
    lines = [f"error: {message}", *(f"  {line}" for line in more)]
    lines += [f"  {redact(note)}" for note in getattr(error, "__notes__", ())]
    lines += [f"  | {line}" if line else "  |" for line in _detail(redact(error.detail), verbose=verbose)]
    if error.hint:
        lines.append(f"hint: {redact(error.hint)}")
    return lines


def _detail(text: str, *, verbose: bool) -> list[str]:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if verbose or len(lines) <= DETAIL_LINES:
        return lines
    left_out = len(lines) - DETAIL_LINES
    return [f"({left_out} more lines above; -v shows them)", *lines[-DETAIL_LINES:]]
