"""Quantities as Kubernetes writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nksmesh.domain.kube.quantities import parse_quantity, spoken_bytes


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        (2, "2"),
        ("0.25", "0.25"),
        ("2Gi", str(2 * 1024**3)),
        ("1600Mi", str(1600 * 1024**2)),
        ("128974848", "128974848"),
        ("129e6", "129000000"),
        ("129M", "129000000"),
        ("128974848000m", "128974848"),
        ("1k", "1000"),
        ("100n", "0.0000001"),
    ],
)
def test_a_quantity_is_read(text: object, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "two", "1.2.3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(("text", "spoken"), [("2Gi", "2Gi"), ("1600Mi", "1600Mi"), ("1000M", "953Mi"), ("0", "0Mi")])
def test_bytes_are_said_in_the_largest_unit_that_is_whole(text: str, spoken: str) -> None:
    assert spoken_bytes(parse_quantity(text)) == spoken
