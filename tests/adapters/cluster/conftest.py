"""The adapters of the API server against a sandbox's real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.sandbox.sandbox import Sandbox


@pytest.fixture
async def api(shared_sandbox: Sandbox) -> AsyncIterator[Api]:
    """A connection to the sandbox's API server."""
    async with await Api.connect(kubeconfig=shared_sandbox.kubeconfig) as connected:
        yield connected


@pytest.fixture
def objects(api: Api) -> Objects:
    """Its objects."""
    return Objects(api)
