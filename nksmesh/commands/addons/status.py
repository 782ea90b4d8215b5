"""``nksmesh addons status``: which add-ons there are, whose they are, and whether they are ready."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nksmesh.domain.addons.addons import ADDONS, Addon, exposing_ref
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.owners import foreign_owner
from nksmesh.domain.kube.readiness import addresses_of, of_workload
from nksmesh.domain.samples.object_set import SAMPLE_LABEL
from nksmesh.engine.ports import Cluster


class AddonState(StrEnum):
    """How an add-on is."""

    READY = "ready"
    NOT_READY = "not ready"
    ABSENT = "not installed"


@dataclass(frozen=True, kw_only=True)
class AddonRow:
    """One add-on.

    Attributes:
        owner: Who made it: nksmesh, or another tool; empty where it is not installed.
        message: What it waits for, or how many of its pods are ready.
        images: The images that it runs.
        addresses: Those of the load balancer that ``addons expose`` made.
    """

    name: str
    state: AddonState
    owner: str = ""
    message: str = ""
    images: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AddonList:
    """Istio's add-ons."""

    addons: tuple[AddonRow, ...]


async def list_addons(cluster: Cluster) -> AddonList:
    """Look at every add-on, whoever made it.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    refs = {addon: (addon.ref, exposing_ref(addon)) for addon in ADDONS.values()}
    found = await cluster.objects.get_all(ref for some in refs.values() for ref in some if ref is not None)
    return AddonList(
        addons=tuple(
            _row(addon, found[workload], found[service] if service else None)
            for addon, (workload, service) in refs.items()
        )
    )


def _row(addon: Addon, workload: Manifest | None, service: Manifest | None) -> AddonRow:
    if workload is None:
        return AddonRow(name=addon.name, state=AddonState.ABSENT)
    answer = of_workload(workload, addon.workload, addon.name)
    return AddonRow(
        name=addon.name,
        state=AddonState.READY if answer.ready else AddonState.NOT_READY,
        owner=str(foreign_owner(workload, SAMPLE_LABEL) or "nksmesh"),
        message=answer.message,
        images=tuple(dict.fromkeys(image.image for image in images_of([{"kind": addon.workload, **workload}], ""))),
        addresses=addresses_of(service),
    )
