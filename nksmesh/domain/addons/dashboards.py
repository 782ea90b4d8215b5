"""Dashboards: the Services that have pages to look at, by the names that people know them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Where a page is.

    Attributes:
        service: The name of its Service.
        path: The page's path.
    """

    service: str
    path: str = "/"


DASHBOARDS: Final[Mapping[str, Dashboard]] = {
    "kiali": Dashboard(service="kiali", path="/kiali"),
    "prometheus": Dashboard(service="prometheus"),
    "grafana": Dashboard(service="grafana"),
    "jaeger": Dashboard(service="tracing", path="/jaeger"),
}
"""The dashboards of Istio's samples/addons (1.19 to 1.30): ``web_root`` of Kiali, ``QUERY_BASE_PATH`` of Jaeger."""


def dashboard_of(name: str) -> Dashboard:
    """Return a dashboard by its name; any other name is that of a Service."""
    return DASHBOARDS.get(name) or Dashboard(service=name)
