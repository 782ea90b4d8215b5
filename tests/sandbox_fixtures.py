"""A ready sandbox for tests: one a worker, emptied between tests that ask for a clean one (a plugin of every test)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nksmesh.sandbox.layout import HOME_VARIABLE
from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox
from tests.emptying import EmptyCluster, NotEmptyError
from tests.orphans import none_left

COLLECT_LATE = {"GOGC": "off", "GOMEMLIMIT": "1536MiB"}
"""What Go's programs are told: an API server takes a seventh less processor time, and memory is there."""


@pytest.fixture(scope="session")
def sandbox_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the sandboxes of this test run apart from the user's, and let none outlive it."""
    homes = tmp_path_factory.mktemp("sandboxes")
    with pytest.MonkeyPatch.context() as patch, none_left(homes):
        patch.setenv(HOME_VARIABLE, str(homes))
        for name, text in COLLECT_LATE.items():
            patch.setenv(name, text)
        yield homes


@pytest.fixture(scope="session")
def _empty_cluster(sandbox_homes: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Sandbox, EmptyCluster]]:
    """Bring up this worker's sandbox, and note what its cluster has before any test."""
    assert sandbox_homes.is_dir()
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    sandbox = Sandbox(f"test-{worker}")
    asyncio.run(sandbox.up())
    try:
        with closing(EmptyCluster(sandbox)) as empty:
            yield sandbox, empty
    finally:
        asyncio.run(sandbox.delete())


@pytest.fixture
def shared_sandbox(_empty_cluster: tuple[Sandbox, EmptyCluster]) -> Sandbox:
    """Give this worker's sandbox; its cluster is as the last test left it, and every part runs.

    A test that stops the API server of a cluster that has just come up takes the controller manager along: it ends
    for good where the API server refuses it while its roles are not there yet.
    """
    shared, _ = _empty_cluster
    if shared.status().state is not State.RUNNING:
        asyncio.run(shared.up())
    return shared


@pytest.fixture
def sandbox(_empty_cluster: tuple[Sandbox, EmptyCluster]) -> Sandbox:
    """Give a test an empty cluster, up and ready, with ``.kubeconfig`` and ``.context``."""
    return _emptied(*_empty_cluster)


@pytest.fixture(scope="module")
def module_sandbox(_empty_cluster: tuple[Sandbox, EmptyCluster]) -> Sandbox:
    """Give a module's tests one cluster, empty when the first of them begins."""
    return _emptied(*_empty_cluster)


def _emptied(shared: Sandbox, empty: EmptyCluster) -> Sandbox:
    try:
        empty.restore()
    except NotEmptyError:
        asyncio.run(shared.reset())
    return shared
