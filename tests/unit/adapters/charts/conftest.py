from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.charts.store import ChartStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for charts."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ChartStore:
    """A store with a cache of its own."""
    return ChartStore(cache=tmp_path / "cache")
