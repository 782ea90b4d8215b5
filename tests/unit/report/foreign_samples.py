"""Results of commands in a cluster whose Istio another tool installed."""

from __future__ import annotations

from typing import Any, Final

from nksmesh.commands.drift.drift import DriftResult
from nksmesh.commands.status import StatusResult
from nksmesh.commands.uninstall.plan import UninstallPlan
from nksmesh.commands.uninstall.uninstall import UninstallResult
from nksmesh.domain.adoption.foreign import ForeignIstiod
from nksmesh.domain.kube.owners import APPLICATION, Owner, Tool
from nksmesh.domain.kube.readiness import ready
from nksmesh.engine.discovery import Installation

ARGO: Final = ForeignIstiod(
    name="istiod",
    namespace="istio-system",
    version="1.20.0",
    owner=Owner(tool=Tool.ARGO, kind=APPLICATION, name="mesh"),
    readiness=ready("Deployment istiod: 1 of 1 replicas available"),
)
UMBRELLA: Final = ForeignIstiod(
    name="istiod",
    namespace="platform",
    version="1.20.0",
    owner=Owner(tool=Tool.HELM, name="platform", namespace="platform"),
    chart="platform-mesh 3.2.1",
    readiness=ready("Deployment istiod: 1 of 1 replicas available"),
)
OF_ARGO: Final = Installation(namespace="istio-system", releases={}, foreign=(ARGO,))
OF_UMBRELLA: Final = Installation(namespace="platform", releases={}, foreign=(UMBRELLA,))


def foreign_samples() -> dict[str, Any]:
    """Return ways to end where another tool's istiod is all there is."""
    return {
        "status, of Argo CD": StatusResult(kubernetes="1.28.15", context="prod", installation=OF_ARGO),
        "status, of an umbrella chart": StatusResult(kubernetes="1.28.15", context="prod", installation=OF_UMBRELLA),
        "drift, of Argo CD": DriftResult(installation=OF_ARGO),
        "uninstall, of Argo CD": UninstallResult(plan=UninstallPlan(installation=OF_ARGO, purge=False)),
    }
