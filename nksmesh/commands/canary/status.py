"""Who is on which Istio revision and proxy: the mesh's own gateways, and everybody else by namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nksmesh.commands.canary.start import LABELS_BEFORE, recorded_mesh
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.record import Canary, Record
from nksmesh.domain.mesh.revisions import DEFAULT_TAG, follows, injection_labels, spoken_revision
from nksmesh.engine.ports import Cluster
from nksmesh.engine.workloads import injected_workloads


@dataclass(frozen=True, kw_only=True)
class NamespaceStatus:
    """A namespace that istiod injects, or has injected.

    Attributes:
        labels: Its labels that decide which istiod injects its pods.
        follows: The Istio revision whose istiod they lead to; empty where they lead to none.
        moved: It was moved to the canary, and keeps its labels from before.
        workloads: Its workloads with injected pods.
    """

    name: str
    labels: Mapping[str, str]
    follows: str
    moved: bool
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CanaryStatus:
    """Who is on which Istio revision.

    Attributes:
        istio_revision: The default istiod's Istio revision, in words.
        gateways: The mesh's own gateways.
        namespaces: Everybody else, by namespace.
    """

    namespace: str
    istio_revision: str
    version: str
    canary: Canary | None
    gateways: tuple[Workload, ...] = ()
    namespaces: tuple[NamespaceStatus, ...] = field(default=())


async def status(cluster: Cluster, namespace: str) -> CanaryStatus:
    """Look who is on which Istio revision and proxy.

    Raises:
        ConfigError: No recorded mesh is installed.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    record = await recorded_mesh(cluster, namespace)
    workloads, namespaces = await asyncio.gather(
        injected_workloads(cluster), cluster.objects.list("v1", "Namespace", metadata_only=True)
    )
    releases = {(entry.release.name, entry.release.namespace) for entry in record.releases}
    gateways = tuple(workload for workload in workloads if workload.helm_release in releases)
    others = tuple(workload for workload in workloads if workload not in gateways)
    found = (namespace_status(manifest, record, others) for manifest in namespaces)
    return CanaryStatus(
        namespace=record.namespace,
        istio_revision=spoken_revision(record.settings.revisions.istio_revision),
        version=record.settings.version,
        canary=record.canary,
        gateways=gateways,
        namespaces=tuple(entry for entry in found if entry.workloads or entry.follows or entry.moved),
    )


def namespace_status(namespace: Mapping[str, Any], record: Record, workloads: Iterable[Workload]) -> NamespaceStatus:
    """See which istiod a namespace's labels lead to, and what is in it.

    Args:
        workloads: Workloads with injected pods, of any namespace.
    """
    name, labels = namespace["metadata"]["name"], namespace["metadata"].get("labels") or {}
    return NamespaceStatus(
        name=name,
        labels=injection_labels(labels),
        follows=followed(labels, record),
        moved=LABELS_BEFORE in (namespace["metadata"].get("annotations") or {}),
        workloads=tuple(workload for workload in workloads if workload.namespace == name),
    )


def followed(labels: Mapping[str, str], record: Record) -> str:
    """Return the Istio revision that a namespace's labels lead to, in words; empty where they lead to none of ours."""
    own, canary = record.settings.revisions, record.canary
    tags = canary.settings.revisions.tags if canary else ()
    taken = DEFAULT_TAG in tags  # its promotion has begun
    if canary and follows(labels, istio_revision=canary.istio_revision, tags=tags, default=taken):
        return canary.istio_revision
    if follows(labels, istio_revision=own.istio_revision, tags=own.tags, default=not taken):
        return spoken_revision(own.istio_revision)
    return ""
