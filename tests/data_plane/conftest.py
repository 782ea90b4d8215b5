"""A sandbox with a data plane, once a worker, and Bookinfo on it, once a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import DATA_PLANE, ISTIO
from nksmesh.sandbox.sandbox import Sandbox
from tests.data_plane.bookinfo import Bookinfo, installed_bookinfo
from tests.sandbox_fixtures import Clusters


@pytest.fixture(scope="module")
def plane(sandboxes: Clusters) -> Sandbox:
    """Give this worker's sandbox with a data plane, and a module's tests an empty cluster in it."""
    if not (DATA_PLANE.built and ISTIO.built):
        pytest.skip("the data plane's programs are not built: nksmesh sandbox build --data-plane")
    return sandboxes.with_data_plane()


@pytest.fixture(scope="module")
def bookinfo(plane: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path) -> Iterator[Bookinfo]:
    """Give Istio and Bookinfo, injected, with a gateway in front, in an empty cluster."""
    with installed_bookinfo(plane, tmp_path_factory.mktemp("mesh"), real_charts, "1.30.2") as found:
        yield found
