"""The proof that something is removed: it was looked for, and is gone.

Helm's exit code is none: with ``--ignore-not-found`` it is 0, too, where Helm did not find the release at all. Nor is
the API server's answer to a delete: an object with a finalizer is there until somebody takes that away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import ClusterError, NotReadyError, ReleaseError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query, crds_of, owned_by, ref_of
from nksmesh.domain.kube.owners import Tool, owner_of
from nksmesh.engine.crds import POLICY
from nksmesh.engine.ports import Cluster, Helm

_MOST: Final = 3


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What was found of a release after Helm had removed it.

    Attributes:
        ending: Its objects that are being deleted, and are not gone yet.
        staying: What of its manifest stays, and why, in words; CRDs, which nksmesh has Helm keep, are not among them.
    """

    ending: tuple[ObjectRef, ...] = ()
    staying: tuple[str, ...] = ()


async def look_after(release: Release, stored: InstalledRelease | None, cluster: Cluster, helm: Helm) -> Departure:
    """Look for a release's record and for the objects of its manifest, all at once.

    Raises:
        ReleaseError: The record or an object is still there.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    manifests = helm.parse(stored.manifest) if stored else ()
    crds = crds_of(manifests)
    wanted = {ref_of(manifest, release.namespace): manifest for manifest in manifests if manifest not in crds}
    records, live = await asyncio.gather(
        cluster.storage.revisions([release]), cluster.objects.get_all(wanted, metadata_only=True)
    )
    if records:
        raise ReleaseError(
            f"release {release.name} in {release.namespace} was not removed: Helm still has its record",
            hint=f"Run helm status {release.name} -n {release.namespace} to see why.",
        )
    ending: list[ObjectRef] = []
    staying: list[str] = []
    there: list[ObjectRef] = []
    for ref, found in live.items():
        if found is None:
            continue
        if _kept(wanted[ref]) or _kept(found):
            staying.append(f"{ref} ({POLICY}: keep)")
        elif not owned_by(release, found) and owner_of(found).tool is not Tool.NOBODY:
            staying.append(f"{ref} (it belongs to {owner_of(found)})")
        elif found["metadata"].get("deletionTimestamp"):
            ending.append(ref)
        else:
            there.append(ref)
    if there:
        raise ReleaseError(
            f"release {release.name} in {release.namespace} was not removed: {_some(there)} still exists",
            hint="Helm no longer has a record of the release. To see what recreates or keeps "
            f"the objects, run kubectl get {there[0].kind.lower()} "
            f"{there[0].name}{f' -n {there[0].namespace}' if there[0].namespace else ''} -o "
            "yaml --show-managed-fields",
            detail="\n".join(map(str, there)),
        )
    return Departure(ending=tuple(ending), staying=tuple(staying))


async def await_end(
    refs: Collection[ObjectRef],
    cluster: Cluster,
    *,
    step: str,
    timeout: float,
    listener: Listener,
    followed: bool = False,
) -> None:
    """Wait until objects are gone: an install right after an uninstall must not take them for its own.

    Args:
        timeout: Seconds.
        followed: The live view follows them already; else each gets a watch of its own.

    Raises:
        NotReadyError: Something is still there; a finalizer keeps it.
    """
    if not followed:
        await cluster.live.follow(
            Query(ref.api_version, ref.kind, ref.namespace, fields=f"metadata.name={ref.name}") for ref in refs
        )
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    said = 0
    while True:
        version = cluster.live.version
        left = [ref for ref in refs if cluster.live.get(ref.kind, ref.name, ref.namespace) is not None]
        if not left:
            return
        if len(left) != said:
            said = len(left)
            words = f"{left[0]} to be deleted" + (f", and {len(left) - 1} more" if len(left) > 1 else "")
            listener(Event(step=step, kind=EventKind.WAITING, message=words))
        if clock() >= deadline:
            first = left[0]
            where = f" -n {first.namespace}" if first.namespace else ""
            raise NotReadyError(
                f"{first} is still being deleted after {spoken(timeout)}",
                hint="A finalizer of the object, or of something in it, blocks the deletion. "
                f"Run kubectl get {first.kind.lower()} {first.name}{where} -o yaml to see which one.",
            )
        await cluster.live.changed(version, deadline - clock())


async def await_gone(
    refs: Collection[ObjectRef], cluster: Cluster, *, step: str, timeout: float, listener: Listener
) -> tuple[ObjectRef, ...]:
    """Look for objects that were deleted, and wait for those that are still being deleted.

    Returns:
        Those that are there again, or still, and are not being deleted.

    Raises:
        NotReadyError: An object is still being deleted when the time is over.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    live = await cluster.objects.get_all(refs, metadata_only=True)
    there = {ref: found for ref, found in live.items() if found is not None}
    ending = [ref for ref, found in there.items() if found["metadata"].get("deletionTimestamp")]
    if ending:
        await await_end(ending, cluster, step=step, timeout=timeout, listener=listener)
    return tuple(ref for ref in there if ref not in ending)


async def delete_all(
    refs: Collection[ObjectRef], cluster: Cluster, *, step: str, timeout: float, listener: Listener
) -> None:
    """Delete objects, and prove that they are gone.

    Raises:
        NotReadyError: An object is still being deleted when the time is over.
        ClusterError: An object is still there; or the cluster cannot be reached, or refuses.
    """
    await asyncio.gather(*(cluster.objects.delete(ref) for ref in refs))
    left = await await_gone(refs, cluster, step=step, timeout=timeout, listener=listener)
    if left:
        raise ClusterError(
            f"{_some(left)} exists again after it was deleted: something recreates it",
            hint="Run kubectl get with -o yaml --show-managed-fields on it to see what "
            "recreates it. Stop that, then run the same command again.",
            detail="\n".join(map(str, left)),
        )


def _kept(manifest: Manifest) -> bool:
    """Tell whether Helm keeps an object when it removes the release; it goes by its manifest and by the live object."""
    return bool(((manifest.get("metadata") or {}).get("annotations") or {}).get(POLICY) == "keep")


def _some(refs: Sequence[ObjectRef]) -> str:
    return f"{first_few(refs, _MOST)} {'are' if len(refs) > 1 else 'is'}"
