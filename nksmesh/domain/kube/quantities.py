"""Quantities as Kubernetes writes them: ``500m``, ``2Gi``, ``1e3`` (apimachinery, pkg/api/resource/quantity.go)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

_WRITTEN: Final = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def parse_quantity(text: object) -> Decimal:
    """Read a quantity: CPUs, or bytes.

    Raises:
        ValueError: It is none.
    """
    found = _WRITTEN.fullmatch(str(text))
    if found is None or found[2] not in {**_BINARY, **_DECIMAL}:
        raise ValueError(f"{text!r} is no quantity")
    try:
        number = Decimal(found[1])
    except InvalidOperation:
        raise ValueError(f"{text!r} is no quantity") from None
    return number * 1024 ** _BINARY[found[2]] if found[2] in _BINARY else number.scaleb(_DECIMAL[found[2]])


def spoken_bytes(amount: Decimal) -> str:
    """Write bytes as a quantity that a reader knows: ``2Gi``, ``1600Mi``."""
    for suffix, power in reversed(_BINARY.items()):
        unit = Decimal(1024**power)
        if amount >= unit and amount % unit == 0:
            return f"{amount / unit:f}{suffix}"
    return f"{amount // 1024**2}Mi"
