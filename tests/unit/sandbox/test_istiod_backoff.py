"""The stand-in for istiod backs off as client-go does while the CRDs that it reads are not served."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.cluster.api import JSON, Api
from nksmesh.sandbox.agent.istiod import Istiod, StandIn


class FakeApi(Api):
    """An API server that serves Istio's objects from a number of reads on."""

    def __init__(self, served_from: int) -> None:
        self.served_from = served_from
        self.reads = 0
        self.asked = asyncio.Event()

    async def get(
        self, path: str, *, query: Mapping[str, str] | None = None, accept: str = JSON
    ) -> dict[str, Any] | None:
        """Serve objects of Istio; there is no authority's Secret yet."""
        del query, accept
        if path.startswith("/apis/networking.istio.io/"):
            self.reads += 1
            self.asked.set()
            if self.reads > self.served_from:
                return {"items": []}
        return None

    async def request(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        """Take what is written."""
        del method, path
        return dict(sent["body"])


@pytest.mark.parametrize("chance", [0.0, 0.99])
@pytest.mark.parametrize("missing", [0, 1, 3, 8])
async def test_each_wait_is_twice_as_long_up_to_half_a_minute_and_nothing_answers_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, chance: float
) -> None:
    waits: list[float] = []
    socket = tmp_path / "istiod.sock"

    async def sleep(seconds: float) -> None:
        assert not socket.exists()
        waits.append(seconds)

    monkeypatch.setattr("random.random", lambda: chance)
    monkeypatch.setattr("asyncio.sleep", sleep)
    stand_in = StandIn(Istiod("istio-system", "default"), FakeApi(missing), socket)
    await stand_in.start()
    assert socket.exists()
    monkeypatch.undo()  # a server that ends sleeps, too
    await stand_in.stop()
    bases = [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert waits == pytest.approx([base * (1 + chance) for base in bases[:missing]])


async def test_an_istiod_that_goes_while_it_backs_off_never_answers(tmp_path: Path) -> None:
    socket = tmp_path / "istiod.sock"
    api = FakeApi(1)
    stand_in = StandIn(Istiod("istio-system", "default"), api, socket)
    start = asyncio.create_task(stand_in.start())
    await api.asked.wait()
    await stand_in.stop()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not socket.exists()
    assert api.reads == 1
