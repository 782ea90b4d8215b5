"""Charts from a Helm repository or a folder: fetched, checked, unpacked safely, and kept in a cache."""

from __future__ import annotations

from nksmesh.adapters.charts.store import ChartStore

__all__ = ["ChartStore"]
