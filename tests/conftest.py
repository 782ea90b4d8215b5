"""What every test has: the fixtures of clusters, each once a worker, and property tests that a slow machine may run."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["tests.sandbox_fixtures", "tests.cluster.fixtures"]

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

LONGEST_FIRST = ("data_plane", "conformance", "cluster", "sandbox", "adapters", "unit")
"""The folders of tests, in the order in which they are handed to workers: short ones fill what is left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, or one worker would be at it alone when the others have ended."""
    here = Path(__file__).parent
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.relative_to(here).parts[0]))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through all tests each time it looks for what a test left."""
    gc.collect()
    gc.freeze()
