"""What is cancelled leaves no connection behind, whenever it is cancelled."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.domain.kube.objects import Query
from nksmesh.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.cluster

MAPS = Query("v1", "ConfigMap", "default")
TURNS = range(0, 64, 2)
"""Turns of the event loop until the end: a watch is up after some 40."""


async def watching(cluster: Cluster, turns: int) -> None:
    """Leave while a watch is being connected, or is up."""
    await cluster.live.follow([MAPS])
    for _ in range(turns):
        await asyncio.sleep(0)


async def cancelled(cluster: Cluster, turns: int) -> None:
    """Leave right after a request was cancelled."""
    asking = asyncio.create_task(cluster.objects.list("v1", "ConfigMap", "default"))
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def connected(kubeconfig: Path, leave: Callable[[Cluster, int], Awaitable[None]], turns: int) -> None:
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told))
    async with await Cluster.connect(kubeconfig=kubeconfig, context="") as cluster:
        await leave(cluster, turns)
    gc.collect()
    assert not unheard


@pytest.mark.parametrize("leave", [watching, cancelled])
def test_no_connection_outlives_its_cluster(
    shared_sandbox: Sandbox, leave: Callable[[Cluster, int], Awaitable[None]]
) -> None:
    for turns in TURNS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            asyncio.run(connected(shared_sandbox.kubeconfig, leave, turns))
            gc.collect()
        assert not [str(one.message) for one in caught], f"cancelled after {turns} turns"
