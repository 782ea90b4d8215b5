"""Workflows run over fakes, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.fakes.clock import TimelessLoop
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """Give every asynchronous test here a loop that does not wait."""
    del config, item
    return {"timeless": TimelessLoop}


@pytest.fixture
def cluster() -> FakeCluster:
    """An empty cluster."""
    return FakeCluster()


@pytest.fixture
def helm(cluster: FakeCluster) -> FakeHelm:
    """A Helm that does nothing until it is told what; what it uninstalls is gone from the cluster."""
    made = FakeHelm()
    made.cluster = cluster
    return made


@pytest.fixture
def heard() -> Heard:
    """What a workflow said."""
    return Heard()
