"""The Helm program: the port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest


class Helm(Protocol):
    """The Helm program."""

    async def render(
        self, release: Release, chart: Chart, values: Mapping[str, Any], *, kubernetes: str = "", upgrade: bool
    ) -> str:
        """Render a release's manifests."""

    def parse(self, manifests: str) -> tuple[Manifest, ...]:
        """Read rendered manifests."""

    def dump(self, manifest: Manifest) -> str:
        """Write a manifest as YAML."""

    async def install(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Install a release."""

    async def upgrade(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Upgrade a release."""

    async def rollback(self, release: Release, helm_revision: int, *, timeout: float) -> None:
        """Bring a release back to a Helm revision."""

    async def uninstall(self, release: Release, *, timeout: float) -> None:
        """Remove a release."""

    async def prove_same_cluster(self, uid: str) -> None:
        """Prove that Helm reaches the same cluster."""
