"""Counts and names in sentences: the first of many, and what one that is not known most likely means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

_THOUSAND: Final = 999.5
"""What rounds to 1000 in three digits."""


def counted(number: int, singular: str, plural: str = "") -> str:
    """Count something: ``1 pod``, ``2 pods``, ``2 CRDs are``; the plural has an s more where it is not given."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def first_few(names: Sequence[object], most: int) -> str:
    """List names, and of more than so many the first ones and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(map(str, names[:most]))}{more}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Find the known word that a misspelt one most likely means; empty where none is near."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), "")


def perhaps(word: str, known: Iterable[str], kinds: str) -> str:
    """Write the next step for a word that is not known: the nearest one, and all there are.

    Args:
        kinds: What they are, in the plural: ``regions``.
    """
    names = list(known)
    meant = nearest(word, names)
    all_of_them = f"The {kinds} are {', '.join(names)}." if names else f"There are no {kinds}."
    return f"Did you mean {meant!r}? {all_of_them}" if meant else all_of_them


def sized(number: float) -> str:
    """Write a number of bytes: ``512 B``, ``2.5 kB``, ``210 MB``; a kB is 1000 of them, as registries count."""
    for unit in ("B", "kB", "MB"):
        if number < _THOUSAND:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
