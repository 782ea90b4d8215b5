"""Names and counts in sentences."""

from __future__ import annotations

import pytest

from nksmesh.domain.common.spelling import counted


@pytest.mark.parametrize(
    ("number", "singular", "plural", "words"),
    [
        (0, "pod", "", "0 pods"),
        (1, "pod", "", "1 pod"),
        (2, "pod", "", "2 pods"),
        (1, "CRD is", "CRDs are", "1 CRD is"),
        (15, "CRD is", "CRDs are", "15 CRDs are"),
        (0, "gateway of its own", "gateways of its own", "0 gateways of its own"),
    ],
)
def test_what_is_counted_is_in_the_singular_for_one_alone(number: int, singular: str, plural: str, words: str) -> None:
    assert counted(number, singular, plural) == words
