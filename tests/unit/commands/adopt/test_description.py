"""What ``adopt`` says of a mesh it describes."""

from __future__ import annotations

from nksmesh.commands.adopt.description import about_crds


def test_crds_that_differ_are_counted_and_the_first_is_named() -> None:
    assert about_crds(["a"], "1.20.1").startswith("1 CRD differs from chart base 1.20.1 (a): ")
    assert about_crds(["a", "b", "c"], "1.20.1").startswith("3 CRDs differ from chart base 1.20.1 (a and 2 more): ")
