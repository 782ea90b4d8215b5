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


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen of the cluster whose versions are asked about.

    Attributes:
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
        today: The day that ends of support are held against.
    """

    versions: tuple[IstioVersion, ...]
    regions: tuple[Region, ...]
    nks: Nks = field(default_factory=Nks)
    look: Look = field(default_factory=Look)
    today: date | None = None

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: each minor with its versions, the cluster that was looked at, and what NKS offers."""
        seen = {"context": self.look.context, "kubernetes": self.look.kubernetes} if self.look.kubernetes else None
        return {
            "versions": [
                {
                    "minor": istio.minor,
                    "kubernetes": {"lowest": istio.kubernetes_min, "highest": istio.kubernetes_max},
                    "floor": istio.kubernetes_floor,
                    "support_ends": istio.support_ends or "",
                    "planned": istio.planned,
                    "fits": self.fits(istio),
                    "versions": [
                        {
                            "version": version,
                            "regions": self.provided_by(version),
                            "tested": version in istio.tested,
                        }
                        for version in istio.versions
                    ],
                }
                for istio in self.versions
            ],
            "cluster": seen,
            "problem": self.look.problem,
            "nks": {
                "as_of": self.nks.as_of,
                "source": self.nks.source,
                "kubernetes": [
                    {
                        "minor": support.minor,
                        "version": support.version,
                        "offered": support.minor in self.nks.offered,
                        "support_ends": support.support_ends or "",
                        "planned": support.planned,
                        "upgrade_until": support.upgrade_until or "",
                        "istio": [istio.minor for istio in self.versions if supports(istio, support.minor)],
                    }
                    for support in self.nks.kubernetes.values()
                ],
            },
        }

    def provided_by(self, version: str) -> tuple[str, ...]:
        """Name the regions whose registry provides a version."""
        return tuple(region.name for region in self.regions if version in region.versions)

    def fits(self, entry: IstioVersion) -> bool | None:
        """Tell whether a minor supports the cluster's Kubernetes; None where the cluster was not seen."""
        return supports(entry, self.look.kubernetes) if self.look.kubernetes else None

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
