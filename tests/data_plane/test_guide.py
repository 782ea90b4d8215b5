"""The guide walked on real proxies from its first step to its last, and taken back object by object."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.sandbox.builds import ISTIO
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.data_plane.bookinfo import Bookinfo

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

STEPS = 9
BLACK_STARS = "text-black-500"
"""What reviews v2 has in the page; v1 has no stars."""


@pytest.fixture
def sandbox(plane: Sandbox) -> Sandbox:
    """Give the sandbox with a data plane."""
    return plane


def test_each_step_is_proved_on_real_proxies_and_nothing_is_left(
    sandbox: Sandbox, istio: Program, cluster: Reader
) -> None:
    mesh = replace(istio, waits=300.0)
    before = cluster.everything()
    where = ("--hub", "registry.example/istio", "--version", "1.30.2", "--samples", str(ISTIO.folder / "samples"))
    walked = mesh("guide", *where, "--yes").data
    assert [step["proved"] for step in walked["steps"]] == [True] * STEPS
    assert walked["remaining"] == []
    (answered,) = [step["result"]["answer"] for step in walked["steps"] if "gateway url" in step["command"]]
    assert (answered["status"], answered["title"]) == (200, "Simple Bookstore App")

    pages = [Bookinfo(sandbox, cluster, mesh).page() for _ in range(20)]
    assert all(BLACK_STARS in page for page in pages)  # the last split is 0 to 100

    undone = mesh("guide", "--undo", "--yes").data
    assert [step["proved"] for step in undone["steps"]] == [True] * 4
    assert cluster.everything() == before
