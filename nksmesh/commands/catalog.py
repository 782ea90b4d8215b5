"""``nksmesh regions`` and ``nksmesh versions``: what there is to choose from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.mesh.mesh import IstioVersion, Region
from nksmesh.domain.mesh.nks import Nks
from nksmesh.domain.mesh.versions import minor_of, supports
from nksmesh.engine.ports import Cluster, MeshFiles

LONGEST_LOOK: Final = 3.0
"""Seconds that a list of versions waits for a cluster: whoever asks for a list wants the list."""


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
class Look:
    """What was seen of the cluster whose versions are asked about.

    Attributes:
        context: The kubeconfig's context.
        kubernetes: What the API server calls its version; empty where the cluster was not seen.
        problem: Why it was not seen.
    """

    context: str = ""
    kubernetes: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The Istio versions, where each is provided, and what fits the cluster.

    Attributes:
        versions: Istio's minors, oldest first.
        regions: The regions, for which of their registries provides what.
        nks: The Kubernetes versions of NKS.
        look: What was seen of the cluster.
        today: The day that ends of support are held against.
    """

    versions: tuple[IstioVersion, ...]
    regions: tuple[Region, ...]
    nks: Nks = field(default_factory=Nks)
    look: Look = field(default_factory=Look)
    today: date | None = None

    def to_data(self) -> dict[str, Any]:
        """Return them as the JSON envelope has them."""
        seen = {"context": self.look.context, "kubernetes": self.look.kubernetes} if self.look.kubernetes else None
        return {
            "versions": [
                {
                    "minor": one.minor,
                    "kubernetes": {"lowest": one.kubernetes_min, "highest": one.kubernetes_max},
                    "floor": one.kubernetes_floor,
                    "support_ends": str(one.support_ends or ""),
                    "planned": one.planned,
                    "fits": self.fits(one),
                    "versions": [
                        {
                            "version": version,
                            "regions": list(self.provided_by(version)),
                            "tested": version in one.tested,
                        }
                        for version in one.versions
                    ],
                }
                for one in self.versions
            ],
            "cluster": seen,
            "problem": self.look.problem,
            "nks": {
                "as_of": self.nks.as_of,
                "source": self.nks.source,
                "kubernetes": [
                    {
                        "minor": one.minor,
                        "version": one.version,
                        "offered": one.minor in self.nks.offered,
                        "support_ends": str(one.support_ends or ""),
                        "planned": one.planned,
                        "upgrade_until": str(one.upgrade_until or ""),
                        "istio": [entry.minor for entry in self.versions if supports(entry, one.minor)],
                    }
                    for one in self.nks.kubernetes.values()
                ],
            },
        }

    def provided_by(self, version: str) -> tuple[str, ...]:
        """Name the regions whose registry provides a version."""
        return tuple(region.name for region in self.regions if version in region.versions)

    def fits(self, one: IstioVersion) -> bool | None:
        """Tell whether a minor supports the cluster's Kubernetes; None where the cluster was not seen."""
        return supports(one, self.look.kubernetes) if self.look.kubernetes else None

    @property
    def minor(self) -> str:
        """The cluster's Kubernetes minor; empty where it was not seen."""
        return minor_of(self.look.kubernetes) if self.look.kubernetes else ""


def list_regions(files: MeshFiles) -> Regions:
    """List the regions and their registries.

    Raises:
        ConfigError: A file of values/ is wrong.
    """
    return Regions(regions=tuple(files.catalog().regions.values()))


def list_versions(files: MeshFiles, look: Look | None = None, today: date | None = None) -> Versions:
    """List the Istio versions, the Kubernetes versions they run on, the regions that provide them, and what fits.

    Args:
        files: values/.
        look: What was seen of the cluster; None where none is asked about.

    Raises:
        ConfigError: A file of values/ is wrong.
    """
    catalog = files.catalog()
    regions = tuple(catalog.regions.values())
    return Versions(versions=catalog.versions, regions=regions, nks=catalog.nks, look=look or Look(), today=today)


async def look_at(connect: Callable[[], AbstractAsyncContextManager[Cluster]]) -> Look:
    """Ask a cluster for its version; one that does not answer soon, or that no kubeconfig names, is done without."""
    try:
        async with asyncio.timeout(LONGEST_LOOK), connect() as cluster:
            kubernetes = await cluster.version()
            minor_of(kubernetes)
            return Look(context=cluster.context, kubernetes=kubernetes)
    except TimeoutError:
        return Look(problem=f"the cluster did not answer within {LONGEST_LOOK:g} s")
    except (ClusterError, ConfigError) as error:
        return Look(problem=error.message)
