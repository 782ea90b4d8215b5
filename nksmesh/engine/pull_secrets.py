"""Pull secrets that do not exist, seen before anything is written; no more than their metadata is read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.pull_secrets import missing_secrets, wanted_secrets
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster


async def survey_pull_secrets(
    changes: Iterable[ReleaseChange], cluster: Cluster, *, hub: str, absent: Collection[str]
) -> tuple[Finding, ...]:
    """Find the pull secrets that do not exist where pods will be given them.

    Args:
        cluster: The cluster; a Secret that may not be read is taken to be there.
        hub: The registry path that they are for.
        absent: The namespaces that do not exist: nothing in them is read.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    wanted = wanted_secrets(changes)
    there = await asyncio.gather(*(_is_there(ref, cluster, absent) for ref in wanted))
    missing = (ref for ref, found in zip(wanted, there, strict=True) if not found)
    return missing_secrets(missing, hub, absent)


async def _is_there(ref: ObjectRef, cluster: Cluster, absent: Collection[str]) -> bool:
    if ref.namespace in absent:
        return False
    return await where_allowed(cluster.objects.get(ref, metadata_only=True), {}) is not None
