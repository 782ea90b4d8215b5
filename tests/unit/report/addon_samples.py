"""Results of ``nksmesh dashboard``."""

from __future__ import annotations

from typing import Any

from nksmesh.commands.dashboard import DashboardClosed


def addon_samples() -> dict[str, Any]:
    return {
        "dashboard": DashboardClosed(
            service="kiali",
            namespace="istio-system",
            url="http://127.0.0.1:20001/kiali",
            connections=14,
            pods=("kiali-5b8f4d7c9-2xk8p", "kiali-6c7d9f8b4-q9z5m"),
        ),
    }


def more_addon_samples() -> dict[str, Any]:
    return {
        "dashboard, no pod": DashboardClosed(
            service="kiali", namespace="istio-system", url="http://127.0.0.1:8080/kiali", connections=0, pods=()
        ),
    }
