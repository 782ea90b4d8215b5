"""Finding the mesh that a cluster has: by its record, or by the charts of its releases; and istiods of other tools.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from nksmesh.domain.adoption.foreign import ISTIOD_LABEL, ForeignIstiod, foreign_among
from nksmesh.domain.adoption.hidden_releases import StoredElsewhere, Unseen, judge_elsewhere
from nksmesh.domain.charts.installed import InstalledRelease, component_of
from nksmesh.domain.charts.releases import COMPONENTS, ISTIOD, Release
from nksmesh.domain.common.findings import Finding, blocked_by, refuse_failures
from nksmesh.domain.kube.objects import Manifest, helm_marks
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.mesh.record import Record
from nksmesh.engine.hidden_releases import check_hidden, describe_elsewhere, look_for
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A mesh that is installed, or what is left of one.

    Attributes:
        releases: Its releases and what Helm has of each, in install order; empty where nothing is installed.
        record: What the last run resolved, or None where nksmesh did not install it.
        notes: What could not be read, in sentences.
        gone: Releases that the record has and Helm has not, while others of the mesh are there.
        foreign: Istiods of other tools, in any namespace.
        unseen: Why Helm shows no release of a recorded mesh whose objects live; None where it shows some.
        findings: A failure where Helm does not show its releases where nksmesh looks for them: it cannot be written to.
    """

    namespace: str
    releases: dict[Release, InstalledRelease]
    record: Record | None = None
    notes: tuple[str, ...] = ()
    gone: tuple[Release, ...] = ()
    foreign: tuple[ForeignIstiod, ...] = ()
    unseen: Unseen | None = None
    findings: tuple[Finding, ...] = ()


async def find_installation(cluster: Cluster, namespace: str, *, without_record: bool = False) -> Installation:
    """Find the mesh whose control plane is in a namespace, or the only one there is.

    Args:
        namespace: The namespace that was asked for, or empty.
        without_record: Go on where the record may not be read; the notes say so.
    """
    (records, notes), istiods = await asyncio.gather(
        _read_records(cluster, without_record=without_record), list_istiods(cluster)
    )
    record = record_for(namespace, records)
    if record is not None:
        wanted = [recorded.release for recorded in record.releases]
        found = await cluster.storage.installed(wanted)
        releases = {release: found[release.key] for release in wanted if release.key in found}
        unseen = None
        if not releases:
            releases, unseen = await look_for(record, cluster)
        if releases or unseen:
            away = await describe_elsewhere(releases.values(), cluster)
            gone = tuple(release for release in wanted if release not in releases)
            # What Helm's marks are on is not looked up: a recorded mesh is shown with as few reads as can be.
            foreign = foreign_among([istiod for istiod in istiods or () if helm_marks(istiod) is None], {})
            return Installation(
                namespace=record.namespace,
                releases=_in_order(releases),
                record=record,
                notes=_notes_on((unseen,) if unseen else away),
                gone=() if unseen else gone,
                foreign=foreign,
                unseen=unseen,
                findings=(unseen.finding,) if unseen else judge_elsewhere(away),
            )
    unreadable: list[str] = []
    everything = await _read_releases(cluster, namespace or ISTIO_NAMESPACE, unreadable, notes)
    notes += [f"Helm's record in {where} cannot be read and is ignored" for where in unreadable]
    ours = {
        Release(
            component=component,
            name=installed.name,
            namespace=installed.namespace,
        ).with_revision_of(installed.values): installed
        # A record in the release's own namespace is the one that Helm goes by: it comes last.
        for installed in sorted(everything.values(), key=lambda installed: not installed.elsewhere)
        if (component := component_of(installed))
    }
    control_planes = [release.namespace for release in ours if release.component == ISTIOD.name]
    foreign = foreign_among(istiods or (), {installed.key: installed for installed in everything.values()})
    where = namespace or next(iter([*control_planes, *(istiod.namespace for istiod in foreign)]), ISTIO_NAMESPACE)
    theirs = {
        release: installed
        for release, installed in ours.items()
        if release.namespace == where or (release.component == "gateway" and control_planes == [where])
    }
    if istiods is None and not theirs:
        notes.append("no permission to list Deployments: an istiod that another tool installed is not detected")
    away = await describe_elsewhere(theirs.values(), cluster)
    return Installation(
        namespace=where,
        releases=_in_order(theirs),
        notes=(*notes, *_notes_on(away)),
        foreign=foreign,
        findings=judge_elsewhere(away),
    )


def record_for(namespace: str, records: dict[str, Record]) -> Record | None:
    """Choose the record that is meant: of the namespace named, of istio-system, or the only one there is."""
    if namespace:
        return records.get(namespace)
    if ISTIO_NAMESPACE in records or len(records) != 1:
        return records.get(ISTIO_NAMESPACE)
    return next(iter(records.values()))


def _notes_on(hidden: Iterable[Unseen | StoredElsewhere]) -> tuple[str, ...]:
    return tuple(f"{unseen}. {unseen.way_on}" for unseen in hidden)


async def _read_records(cluster: Cluster, *, without_record: bool) -> tuple[dict[str, Record], list[str]]:
    """Read the records; where that is not allowed and may be done without, return none and a note."""
    reading = cluster.records.read_all()
    records = await (where_allowed(reading, None) if without_record else reading)
    if records is not None:
        return records, []
    return {}, ["no permission to read the mesh's record (Secrets in kube-system): its contents are unknown"]


async def _read_releases(
    cluster: Cluster, namespace: str, unreadable: list[str], notes: list[str]
) -> dict[tuple[str, str], InstalledRelease]:
    """Read every release; whoever may not read the record may be allowed no more than the mesh's own namespace."""
    reading = cluster.storage.installed(unreadable=unreadable)
    found = await (where_allowed(reading, None) if notes else reading)
    if found is not None:
        return found
    notes.append(f"no permission to read Helm's records in all namespaces: only {namespace} was searched")
    return await cluster.storage.installed(namespace=namespace, unreadable=unreadable)


def _in_order(releases: dict[Release, InstalledRelease]) -> dict[Release, InstalledRelease]:
    order = list(COMPONENTS)
    return dict(sorted(releases.items(), key=lambda item: (order.index(item[0].component), item[0].name)))


async def list_istiods(cluster: Cluster) -> list[Manifest] | None:
    """List the Deployments of every istiod that is there and is not being deleted; None where that is not allowed."""
    listed = await where_allowed(cluster.objects.list("apps/v1", "Deployment", labels=ISTIOD_LABEL), None)
    return None if listed is None else [istiod for istiod in listed if not istiod["metadata"].get("deletionTimestamp")]


async def foreign_istiods(deployments: list[Manifest], cluster: Cluster) -> tuple[ForeignIstiod, ...]:
    """Describe those istiods that no Helm release of Istio's own chart owns; reads the releases that are named.

    Raises:
        ClusterError: Helm has the release of one in another namespace or under its other storage driver; or the cluster
            cannot be reached, or refuses.
    """
    named = {key for istiod in deployments if (key := helm_marks(istiod)) is not None}
    releases = [Release(component=ISTIOD.name, name=name, namespace=namespace) for namespace, name in sorted(named)]
    helm = await cluster.storage.installed(releases) if releases else {}
    refuse_failures(await check_hidden([release for release in releases if release.key not in helm], cluster))
    return foreign_among(deployments, helm)


async def check_foreign(deployments: list[Manifest], cluster: Cluster) -> tuple[Finding, ...]:
    """Find an istiod of another tool that a mesh would be installed beside, or over: a failure.

    Raises:
        ClusterError: As ``foreign_istiods`` says.
    """
    return blocked_by("ownership.foreign-istiod", await foreign_istiods(deployments, cluster))
