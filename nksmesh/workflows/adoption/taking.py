"""Taking objects over from istioctl, one by one, so that each is as if Helm had made it.

First its field managers become one of ours, then what the chart renders is applied as that manager: the API server
itself prunes what istioctl had beside it (container args, labels, annotations), and keeps what nobody applied: a
Service's address and node ports, caBundles. Whoever is stopped between the two goes on with the second.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from nksmesh.domain.errors import RefusedError
from nksmesh.domain.objects import FIELD_MANAGER, Manifest, ObjectRef, ref_of
from nksmesh.domain.plan import ReleaseChange
from nksmesh.domain.takeover import HELM_MANAGER, former_managers, owned_manifest, renamed_managers
from nksmesh.workflows.ports import Objects

_TRIES: Final = 5
"""istiod writes into webhook configurations at the same time; each try reads anew."""


async def take_object(
    manifest: Manifest, ref: ObjectRef, objects: Objects, *, manager: str = FIELD_MANAGER
) -> dict[str, Any]:
    """Take one object over, or create it where it is not there; return it.

    Args:
        manifest: What it is to be.
        ref: Which one.
        objects: The cluster's objects.
        manager: The field manager that it gets.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    for attempt in range(1, _TRIES + 1):
        live = await objects.get(ref)
        if live is None or not former_managers(live):
            break
        metadata = {
            "resourceVersion": live["metadata"].get("resourceVersion"),
            "managedFields": renamed_managers(live, manager),
        }
        try:
            await objects.merge({"metadata": metadata}, ref)
        except RefusedError as exc:
            if exc.reason != "Conflict" or attempt == _TRIES:
                raise
        else:
            break
    return await objects.apply(manifest, ref, manager=manager)


async def take_release(change: ReleaseChange, objects: Objects) -> None:
    """Take a release's objects over before Helm writes it; those that run come last, on what they stand on.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """

    async def take(manifest: Manifest) -> None:
        owned = owned_manifest(manifest, change.release)
        await take_object(owned, ref_of(manifest, change.release.namespace), objects, manager=HELM_MANAGER)

    running = [one for one in change.manifests if one.get("kind") in {"Deployment", "DaemonSet"}]
    await asyncio.gather(*(take(one) for one in change.manifests if one not in running))
    await asyncio.gather(*(take(one) for one in running))
