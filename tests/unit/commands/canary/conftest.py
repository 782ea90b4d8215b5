"""A mesh that a canary may be started beside."""

from __future__ import annotations

import pytest

from tests.unit.fakes.canaries import furnish
from tests.unit.fakes.cluster import FakeCluster


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    return furnish(cluster)
