"""A sandbox with a data plane, and Bookinfo on it, once a module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import DATA_PLANE, ISTIO
from nksmesh.sandbox.releases import Kubernetes
from nksmesh.sandbox.sandbox import Sandbox
from tests.data_plane.bookinfo import Bookinfo, installed_bookinfo
from tests.sandbox_fixtures import Clusters


@pytest.fixture(scope="module")
def plane(sandbox_homes: Path, sandboxes: Clusters, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Give a sandbox with a data plane, and this worker no other one meanwhile.

    Its proxies take processor time when nobody asks for anything: it goes with the module.
    """
    assert sandbox_homes.is_dir()
    sandboxes.close()
    if not (DATA_PLANE.built and ISTIO.built):
        pytest.skip("the data plane's programs are not built: nksmesh sandbox build --data-plane")
    sandbox = Sandbox(f"plane-{getattr(request.config, 'workerinput', {}).get('workerid', 'main')}")
    warnings: list[str] = []
    try:
        asyncio.run(
            sandbox.up(
                lambda event: warnings.append(event.message) if event.kind == "warning" else None,
                kubernetes=Kubernetes.V1_34,
                with_data_plane=True,
            )
        )
        if warnings:
            pytest.skip("; ".join(warnings))
        yield sandbox
    finally:
        asyncio.run(sandbox.delete())


@pytest.fixture(scope="module")
def bookinfo(plane: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path) -> Iterator[Bookinfo]:
    """Give Istio and Bookinfo, injected, with a gateway in front, in an empty cluster."""
    with installed_bookinfo(plane, tmp_path_factory.mktemp("mesh"), real_charts, "1.30.2") as found:
        yield found
