"""Integers that only Helm's own ``--set`` keeps.

What Helm reads from ``--values`` or ``--set-json`` passes through JSON, where every number is a float64: templates
print one from 1,000,000 on as ``1e+06``. ``--set`` alone makes an int64 (Helm's pkg/strvals, typedVal).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nksmesh.domain.values.layers import SetPath, copied

LEAST: Final = 1_000_000
"""From this absolute value on, Go writes a float64 with an exponent."""

INT64: Final = range(-(2**63), 2**63)
"""What has more is a string to ``--set``."""


class SetInteger(int):
    """An integer that Helm gets by ``--set``; to everything else it is a plain int."""


def kept_integer(number: int) -> int:
    """Return an integer of ``--set`` as values hold it: marked where Helm would print it otherwise from a file."""
    return SetInteger(number) if abs(number) >= LEAST else number


def all_kept(value: Any) -> Any:
    """Mark every integer of values that ``--set`` may have given: Helm's own record has no word for it."""
    if isinstance(value, Mapping):
        return {key: all_kept(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [all_kept(inner) for inner in value]
    return kept_integer(value) if isinstance(value, int) and value in INT64 else value


def set_integers(values: Any) -> tuple[tuple[SetPath, int], ...]:
    """List where in values such integers are, and which."""
    return tuple(_integers(values, ()))


def with_set_integers(values: Mapping[str, Any], paths: Iterable[SetPath]) -> dict[str, Any]:
    """Mark the integers at these paths again, after values were read from JSON.

    Raises:
        LookupError: There is nothing at a path.
        TypeError: The same, or what is there is no number.
        ValueError: What is there is no number.
    """
    marked: dict[str, Any] = copied(values)
    for *parents, last in paths:
        here: Any = marked
        for step in parents:
            here = here[step]
        here[last] = SetInteger(here[last])
    return marked


def _integers(value: Any, path: SetPath) -> Iterator[tuple[SetPath, int]]:
    if isinstance(value, SetInteger):
        yield path, int(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _integers(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _integers(inner, (*path, index))
