"""``nksmesh regions`` and ``nksmesh versions``: what there is to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nksmesh.domain.mesh import IstioVersion, Region
from nksmesh.workflows.ports import MeshFiles


@dataclass(frozen=True, kw_only=True)
class Regions:
    """The regions.

    Attributes:
        regions: In the catalog's order.
    """

    regions: tuple[Region, ...]

    def to_data(self) -> dict[str, Any]:
        """Return them as the JSON envelope has them."""
        return {
            "regions": [
                {
                    "name": region.name,
                    "title": region.title,
                    "title_en": region.title_en,
                    "registries": {network.value: hub for network, hub in region.hubs.items()},
                    "istio": list(region.versions),
                    "kubernetes": list(region.kubernetes),
                }
                for region in self.regions
            ]
        }


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The Istio versions, and where each is provided.

    Attributes:
        versions: Istio's minors, oldest first.
        regions: The regions, for which of their registries provides what.
    """

    versions: tuple[IstioVersion, ...]
    regions: tuple[Region, ...]

    def to_data(self) -> dict[str, Any]:
        """Return them as the JSON envelope has them."""
        return {
            "versions": [
                {
                    "minor": one.minor,
                    "kubernetes": {"lowest": one.kubernetes_min, "highest": one.kubernetes_max},
                    "floor": one.kubernetes_floor,
                    "versions": [
                        {"version": version, "regions": list(self.provided_by(version))} for version in one.versions
                    ],
                }
                for one in self.versions
            ]
        }

    def provided_by(self, version: str) -> tuple[str, ...]:
        """Name the regions whose registry provides a version."""
        return tuple(region.name for region in self.regions if version in region.versions)


def list_regions(files: MeshFiles) -> Regions:
    """List the regions and their registries.

    Raises:
        ConfigError: A file of values/ is wrong.
    """
    return Regions(regions=tuple(files.catalog().regions.values()))


def list_versions(files: MeshFiles) -> Versions:
    """List the Istio versions, the Kubernetes versions they run on, and the regions that provide them.

    Raises:
        ConfigError: A file of values/ is wrong.
    """
    catalog = files.catalog()
    return Versions(versions=catalog.versions, regions=tuple(catalog.regions.values()))
