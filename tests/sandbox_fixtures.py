"""A ready sandbox for tests: one a worker, emptied between tests that ask for a clean one (a plugin of every test)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.layout import HOME_VARIABLE
from nksmesh.sandbox.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the sandboxes of this test run apart from the user's."""
    homes = tmp_path_factory.mktemp("sandboxes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(homes))
        yield homes


@pytest.fixture(scope="session")
def shared_sandbox(sandbox_homes: Path, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Bring up this worker's sandbox; its cluster is as the last test left it."""
    assert sandbox_homes.is_dir()
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    sandbox = Sandbox(f"test-{worker}")
    asyncio.run(sandbox.up())
    try:
        yield sandbox
    finally:
        asyncio.run(sandbox.delete())


@pytest.fixture(scope="session")
def _used(shared_sandbox: Sandbox) -> set[str]:
    """Note which sandboxes are not empty any more."""
    assert shared_sandbox.kubeconfig.exists()
    return set()


@pytest.fixture
def sandbox(shared_sandbox: Sandbox, _used: set[str]) -> Sandbox:
    """Give a test an empty cluster, up and ready, with ``.kubeconfig`` and ``.context``."""
    return _emptied(shared_sandbox, _used)


@pytest.fixture(scope="module")
def module_sandbox(shared_sandbox: Sandbox, _used: set[str]) -> Sandbox:
    """Give a module's tests one cluster, empty when the first of them begins."""
    return _emptied(shared_sandbox, _used)


def _emptied(shared: Sandbox, used: set[str]) -> Sandbox:
    if shared.layout.name in used:
        asyncio.run(shared.reset())
    used.add(shared.layout.name)
    return shared
