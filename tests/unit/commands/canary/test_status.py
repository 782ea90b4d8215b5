"""Who is on which istiod."""

from __future__ import annotations

import pytest

from nksmesh.commands.canary.status import status
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ConfigError
from tests.unit.fakes.canaries import canary, record
from tests.unit.fakes.cluster import FakeCluster


async def test_status_tells_who_is_on_which(mesh: FakeCluster) -> None:
    told = await status(mesh, "")
    assert [(one.name, one.follows, one.moved) for one in told.namespaces] == [
        ("shop", "default", False),
        ("pay", "1-22-8", True),
    ]
    assert data_of(told)["canary"] == {"istio_revision": "1-22-8", "version": "1.22.8", "promoting": False}


async def test_once_the_default_has_moved_the_label_means_the_canary(mesh: FakeCluster) -> None:
    mesh.records.kept = {"istio-system": record(canary(promoting=True, tags=("default",)))}
    assert {one.follows for one in (await status(mesh, "")).namespaces} == {"1-22-8"}


async def test_without_a_record_there_is_nothing_to_say(cluster: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="no record of a mesh") as refused:
        await status(cluster, "")
    assert "nksmesh adopt" in refused.value.hint
