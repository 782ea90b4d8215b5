"""What renders are judged by without a cluster: the same for a plan and for ``nksmesh template``."""

from __future__ import annotations

from collections.abc import Mapping

from nksmesh.domain.changes import check_images
from nksmesh.domain.findings import Finding
from nksmesh.domain.known_keys import unknown_keys
from nksmesh.domain.layers import dotted, overrides_of
from nksmesh.domain.mesh import Mesh
from nksmesh.domain.plan import ReleaseChange


def check_renders(mesh: Mesh, changes: Mapping[str, ReleaseChange]) -> tuple[Finding, ...]:
    """Look for keys that the charts do not have, and for images outside the hub.

    Raises:
        ChartError: An image lies outside the hub.
    """
    unknown = [
        finding
        for change in changes.values()
        for finding in unknown_keys(change.release.component, change.layers, change.chart.defaults)
    ]
    return (*dict.fromkeys(unknown), *check_images(mesh, changes))


def moved_images(mesh: Mesh) -> tuple[str, ...]:
    """Say which of the region's own settings a stronger layer sets otherwise."""
    region = f"hub {mesh.hub}" if mesh.own_hub else f"region {mesh.region}"
    return tuple(
        f"{name}: {dotted(moved.path)} is {moved.value}, set by {moved.layer}, where {region} has {moved.wanted}"
        for name, layers in mesh.layers.items()
        for moved in overrides_of(layers, region)
    )
