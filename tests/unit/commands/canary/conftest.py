"""A mesh that a canary may be started beside, and installs that are only noted."""

from __future__ import annotations

import pytest

from nksmesh.commands.install import InstallResult
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import mesh as mesh_of
from tests.unit.fakes.canaries import furnish
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.runtime import runtime_of


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    return furnish(cluster)


@pytest.fixture
def runtime(mesh: FakeCluster, helm: FakeHelm, heard: Heard) -> Runtime:
    return runtime_of(mesh, helm=helm, listener=heard)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let installs be noted, and done at once."""
    noted: list[str] = []

    async def noting(_: MeshRequest, __: Runtime, *, command: str, dry_run: bool) -> InstallResult:
        assert not dry_run
        noted.append(command)
        return InstallResult(plan=Plan(mesh=mesh_of(), steps=(), releases={}))

    monkeypatch.setattr("nksmesh.commands.canary.start.install", noting)
    return noted
