"""What keeps releases made by hand with Helm from being adopted."""

from __future__ import annotations

import pytest

from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.mesh_files import MeshFiles
from nksmesh.commands.adopt.adopt import plan_adoption
from nksmesh.domain.common.errors import ReleaseError
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from tests.unit.domain.meshes import BASE, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.upgrades import CATALOG


async def test_every_release_that_helm_did_not_finish_is_named(cluster: FakeCluster) -> None:
    for release in (BASE, ISTIOD):
        cluster.storage.put(installed(release, manifest="istio", status="failed"))
    asked = MeshRequest(options=Request(charts="charts"), catalog=CATALOG)
    with pytest.raises(ReleaseError, match=r"release istio-base is failed: .*; release istiod is failed: ") as caught:
        await plan_adoption(asked, runtime_of(cluster), MeshFiles(folders=ValuesFolders()))
    assert caught.value.hint.startswith("Repair it first: run helm rollback istio-base -n istio-system")
