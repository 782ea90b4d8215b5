"""Taking objects over from istioctl, one by one, so that each is as if Helm had made it.

First its field managers become one of ours, then what the chart renders is applied as that manager: the API server
itself prunes what istioctl had beside it (container args, labels, annotations), and keeps what nobody applied: a
Service's address and node ports, caBundles. Whoever is stopped between the two goes on with the second.

A Deployment that selects its pods by more labels than the chart's cannot be changed to the chart's: it is deleted
alone, and made anew over its pods, which run on meanwhile; whoever is stopped in between goes on with that.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from nksmesh.domain.adoption.takeover import former_managers, owned_manifest, renamed_managers, selects_otherwise
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.kube.objects import FIELD_MANAGER, HELM_MANAGER, Manifest, ObjectRef, ref_of
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.executor.removal_proof import await_end
from nksmesh.engine.ports import Cluster, Objects

_TRIES: Final = 5
"""istiod writes into webhook configurations at the same time; each try reads anew."""


async def take_object(
    manifest: Manifest, ref: ObjectRef, objects: Objects, *, manager: str = FIELD_MANAGER
) -> dict[str, Any]:
    """Take one object over, or create it where it is not there; return it.

    Args:
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


async def take_release(change: ReleaseChange, cluster: Cluster, *, timeout: float, listener: Listener) -> None:
    """Take a release's objects over before Helm writes it; those that run come last, on what they stand on.

    Args:
        timeout: Seconds that a Deployment, which is made anew, may take to go.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
        NotReadyError: A Deployment does not go.
    """

    async def take(manifest: Manifest) -> None:
        owned, ref = owned_manifest(manifest, change.release), ref_of(manifest, change.release.namespace)
        live = await cluster.objects.get(ref) if manifest in running else None
        if live is not None and selects_otherwise(live, manifest):
            await cluster.objects.delete(ref, orphan=True)
            await await_end([ref], cluster, step=change.release.name, timeout=timeout, listener=listener)
            await _make_anew(owned, ref, (live.get("spec") or {}).get("replicas"), cluster.objects)
        elif live is None and ref.kind == "Deployment" and (left := await _left_running(owned, ref, cluster.objects)):
            await _make_anew(owned, ref, left, cluster.objects)
        else:
            await take_object(owned, ref, cluster.objects, manager=HELM_MANAGER)

    running = [manifest for manifest in change.manifests if manifest.get("kind") in ROLLOUT_KINDS]
    await asyncio.gather(*(take(manifest) for manifest in change.manifests if manifest not in running))
    await asyncio.gather(*(take(manifest) for manifest in running))


async def _left_running(owned: Manifest, ref: ObjectRef, objects: Objects) -> int:
    """Count the pods that a Deployment has left whose making anew was stopped: they belong to nobody."""
    selector = ((owned.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    sets = await objects.list("apps/v1", "ReplicaSet", ref.namespace, labels=labels) if labels else []
    left = [replica_set for replica_set in sets if not replica_set["metadata"].get("ownerReferences")]
    return sum(int((replica_set.get("spec") or {}).get("replicas") or 0) for replica_set in left)


async def _make_anew(owned: Manifest, ref: ObjectRef, replicas: int | None, objects: Objects) -> None:
    """Make a Deployment over the pods that the one before has left.

    Its labels are on them, so it takes their ReplicaSet for its own and rolls them over. Its number of pods is whose
    it was, an autoscaler's or nobody's, and not Helm's: with a fresh one of 1 all others would stop at once.
    """
    if replicas is None or "replicas" in owned["spec"]:
        await objects.apply(owned, ref, manager=HELM_MANAGER)
        return
    await objects.apply({**owned, "spec": {**owned["spec"], "replicas": replicas}}, ref, manager=HELM_MANAGER)
    metadata = {"name": ref.name, "namespace": ref.namespace}
    count = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": {"replicas": replicas}}
    await objects.apply(count, ref)
    await objects.apply(owned, ref, manager=HELM_MANAGER)
