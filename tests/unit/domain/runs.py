"""Runs of a mesh's history, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.plan.history import Outcome, ReleaseMove, Run

NAMESPACE = "istio-system"
BASE = Release(component="base", name="istio-base", namespace=NAMESPACE)
ISTIOD = Release(component="istiod", name="istiod", namespace=NAMESPACE)
GATEWAY = Release(component="gateway", name="istio-ingressgateway", namespace=NAMESPACE)


def run(number: int, outcome: Outcome = Outcome.DONE, **more: Any) -> Run:
    """A run that went well unless said otherwise."""
    began = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(minutes=number)
    return Run(
        **{"command": "upgrade", "namespace": NAMESPACE, "number": number, "began": began, "outcome": outcome, **more}
    )


def moves(
    *, base: tuple[int, int] = (1, 1), istiod: tuple[int, int] = (1, 1), gateway: tuple[int, int] = (1, 1)
) -> tuple[ReleaseMove, ...]:
    """The Helm revisions of a mesh's releases, before and after."""
    found = ((BASE, base), (ISTIOD, istiod), (GATEWAY, gateway))
    return tuple(ReleaseMove(release=release, before=before, after=after) for release, (before, after) in found)
