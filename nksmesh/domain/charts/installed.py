"""What Helm has stored of a release that is installed, or was left half way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nksmesh.domain.charts.releases import COMPONENTS, GATEWAY


@dataclass(frozen=True, kw_only=True)
class InstalledRelease:
    """The newest Helm revision of a release.

    Attributes:
        helm_revision: Helm's own revision number, from 1.
        status: Helm's word: ``deployed``, ``failed``, ``pending-install``, ``uninstalling``.
        chart: The chart's name.
        values: The values that were given to Helm.
        chart_values: The values.yaml of the chart it was made from, as Helm has stored it; somebody may have edited it.
        manifest: What Helm applied, as YAML text.
        last_deployed: What the Helm revision that is deployed applied, where that is not the newest; empty else.
        updated: When Helm last touched it.
        storage_namespace: Helm's storage namespace: where the record of the release lies; empty for its own namespace.
        record: The metadata of that record, as the API server returns it.
    """

    name: str
    namespace: str
    helm_revision: int
    status: str
    chart: str
    chart_version: str
    app_version: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    chart_values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manifest: str = field(default="", repr=False)
    last_deployed: str = field(default="", repr=False)
    updated: datetime | None = None
    storage_namespace: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name, by which Helm tells releases apart."""
        return self.namespace, self.name

    @property
    def deployed(self) -> bool:
        """Whether Helm's last word on it was success."""
        return self.status == "deployed"

    @property
    def applied(self) -> str:
        """What Helm compares with when it writes next, as YAML text."""
        return self.last_deployed or self.manifest

    @property
    def elsewhere(self) -> bool:
        """Whether the record lies in another namespace than the release: Helm finds it with that namespace only."""
        return self.storage_namespace not in {"", self.namespace}

    @property
    def pending(self) -> bool:
        """Whether a Helm run began on it and has not ended."""
        return self.status.startswith("pending-") or self.status == "uninstalling"


def component_of(release: InstalledRelease) -> str:
    """Tell which component of a mesh a release is; empty where it is none.

    ``base`` and ``gateway`` are names that other charts may have, too: what they install must speak of Istio.
    """
    if release.chart not in COMPONENTS:
        return ""
    sign = "sidecar.istio.io/inject" if release.chart == GATEWAY.name else "istio"
    return release.chart if sign in release.manifest else ""
