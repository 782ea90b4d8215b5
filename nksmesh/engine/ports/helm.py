"""The Helm program, and its processes on this machine: the ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.holding import Holder


class Helm(Protocol):
    """The Helm program."""

    async def version(self) -> str:
        """Return its version, X.Y.Z."""

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


class Processes(Protocol):
    """Processes of this machine."""

    def here(self, holder: Holder) -> bool:
        """Tell whether a holder ran on this machine."""

    def helms_of(self, holder: Holder) -> tuple[int, ...]:
        """Return the Helms that a run of this machine has at work."""

    async def wait_for_helm(self, processes: tuple[int, ...]) -> None:
        """Wait until processes have ended."""
