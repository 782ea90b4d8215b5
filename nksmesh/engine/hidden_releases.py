"""Releases that Helm does not show where they are looked for, though their objects live: looked up, and never written.

Nothing of this is read while Helm shows what is looked for. Every function raises ClusterError where the cluster cannot
be reached, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from nksmesh.domain.adoption.hidden_releases import StoredElsewhere, Unseen, judge_elsewhere, stored_elsewhere
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import Manifest, ObjectRef, owned_by, ref_of
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.mesh.record import Record
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster

_NAMESPACED: Final = (*(("apps/v1", kind) for kind in ROLLOUT_KINDS), ("v1", "Service"), ("v1", "ServiceAccount"))
_WEBHOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_CLUSTER_WIDE: Final = tuple(("admissionregistration.k8s.io/v1", kind) for kind in _WEBHOOKS)
"""Kinds of which each of Istio's charts has one at least; CRDs stay when Helm removes base, and tell nothing."""


async def check_elsewhere(installed: Iterable[InstalledRelease], cluster: Cluster) -> tuple[Finding, ...]:
    """Judge a run that writes to releases: a failure where one of them has its record in another namespace."""
    return judge_elsewhere(await describe_elsewhere(installed, cluster))


async def describe_elsewhere(installed: Iterable[InstalledRelease], cluster: Cluster) -> tuple[StoredElsewhere, ...]:
    """Describe those of some releases that have their records in another namespace, with the tool that keeps them."""
    away = [release for release in installed if release.elsewhere]
    releases = [Release(component=release.chart, name=release.name, namespace=release.namespace) for release in away]
    live = await _objects_of(releases, cluster)
    return tuple(
        stored_elsewhere(record, [meta for meta in live.values() if owned_by(release, meta)])
        for record, release in zip(away, releases, strict=True)
    )


async def check_hidden(releases: Collection[Release], cluster: Cluster) -> tuple[Finding, ...]:
    """Judge a run that would install over releases which Helm does not show, and whose objects live.

    Returns:
        A failure where Helm has one under another namespace or storage driver.
    """
    if not releases:
        return ()
    away, others = await asyncio.gather(_elsewhere(releases, cluster), cluster.storage.under_other_driver(releases))
    found = await check_elsewhere(away.values(), cluster)
    if found or not others:
        return found
    namespace = min(release.namespace for release in releases if release.key in others)
    return (Unseen(namespace=namespace, recorded="", driver=cluster.storage.driver, under_other=True).finding,)


async def look_for(record: Record, cluster: Cluster) -> tuple[dict[Release, InstalledRelease], Unseen | None]:
    """Look up what became of a recorded mesh of which Helm shows no release.

    Returns:
        Those of its releases whose records lie in another namespace; and, without any, what is unseen: None where its
        objects do not live, either.
    """
    releases = [recorded.release for recorded in record.releases]
    elsewhere, others, live = await asyncio.gather(
        _elsewhere(releases, cluster), cluster.storage.under_other_driver(releases), _objects_of(releases, cluster)
    )
    if elsewhere:
        return {release: elsewhere[release.key] for release in releases if release.key in elsewhere}, None
    if not live:
        return {}, None
    return {}, Unseen(
        namespace=record.namespace,
        recorded=record.helm_driver,
        driver=cluster.storage.driver,
        under_other=bool(others),
        objects=tuple(live),
    )


async def check_shown(
    record: Record | None, installed: Collection[InstalledRelease], cluster: Cluster
) -> tuple[Finding, ...]:
    """Judge a run on a recorded mesh: a failure where Helm does not show its releases where they are looked for.

    Args:
        installed: What Helm shows of its releases.
    """
    if record is not None and not installed:
        return await check_unseen(record, cluster)
    return await check_elsewhere(installed, cluster)


async def check_unseen(record: Record, cluster: Cluster) -> tuple[Finding, ...]:
    """Judge a run on a recorded mesh of which Helm shows no release: a failure where its objects live."""
    elsewhere, unseen = await look_for(record, cluster)
    return (unseen.finding,) if unseen else await check_elsewhere(elsewhere.values(), cluster)


async def check_living(releases: Collection[Release], cluster: Cluster) -> tuple[Finding, ...]:
    """Judge the removal of a mesh of which Helm shows some releases: a failure where others live without its knowing.

    Args:
        releases: The recorded releases that Helm does not show.
    """
    others = await check_hidden(releases, cluster)
    live = () if others else tuple(await _objects_of(releases, cluster))
    if not live:
        return others
    names = ", ".join(sorted(release.name for release in releases))
    return (
        Finding(
            id="helm.missing-record",
            message=f"Helm has no record of {names}, but its objects exist, so Helm cannot remove them; "
            "nothing was removed",
            hint="Run nksmesh install to restore the releases, then nksmesh uninstall. Or "
            "delete the objects with kubectl delete.",
            detail="\n".join(map(str, live)),
            error=ClusterError,
        ),
    )


async def _elsewhere(releases: Iterable[Release], cluster: Cluster) -> Mapping[tuple[str, str], InstalledRelease]:
    """Look for records in every namespace, where that is allowed."""
    return await where_allowed(cluster.storage.elsewhere(releases), {})


async def _objects_of(releases: Collection[Release], cluster: Cluster) -> dict[ObjectRef, Manifest]:
    """Find live objects, by their metadata, that carry Helm's marks of some releases; workloads come first."""
    if not releases:
        return {}
    namespaces = dict.fromkeys(release.namespace for release in releases)
    places = [(*kind, namespace) for kind in _NAMESPACED for namespace in namespaces]
    places += [(*kind, "") for kind in _CLUSTER_WIDE]
    listed = await asyncio.gather(*(_list(*place, cluster) for place in places))
    return {
        ref_of({**meta, "apiVersion": version, "kind": kind}): meta
        for (version, kind, _), some in zip(places, listed, strict=True)
        for meta in some
        if any(owned_by(release, meta) for release in releases) and not meta["metadata"].get("deletionTimestamp")
    }


async def _list(version: str, kind: str, namespace: str, cluster: Cluster) -> list[dict[str, Any]]:
    return await cluster.objects.list(version, kind, namespace, metadata_only=True)
