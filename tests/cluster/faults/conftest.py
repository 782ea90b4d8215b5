"""One installed mesh for the tests of a module that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import assert_complete, wait_for_gateway
from tests.cluster.installed import InstalledMesh, installed_in

_PODS = "/api/v1/namespaces/istio-system/pods"


@pytest.fixture(scope="module")
def installed(
    module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, example_charts: Path
) -> Iterator[InstalledMesh]:
    """Install a mesh into an empty cluster, for a module's tests."""
    folder = tmp_path_factory.mktemp("installed")
    with installed_in(module_sandbox, folder, example_charts, "--region", "kr1") as mesh:
        yield mesh


@pytest.fixture
def standing(installed: InstalledMesh) -> Iterator[InstalledMesh]:
    """The module's mesh; healed and proved whole again by an ordinary run after each test."""
    yield installed
    installed.heal()
    wait_for_gateway(installed.cluster)
    installed.mesh("install")
    assert_complete(installed.cluster)
