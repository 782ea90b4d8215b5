"""What is asked of the cluster before a plan is followed: server-side dry runs of changes, and pull secrets.

An immutable field is found before anything is written. Of pull secrets no more than their metadata is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from http import HTTPStatus

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import HELM_MANAGER, ObjectRef
from nksmesh.domain.plan.dry_runs import Question, changed_objects, merge_patch, refusal
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.pull_secrets import missing_secrets, wanted_secrets
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster, Helm


async def dry_run_changes(changes: Iterable[ReleaseChange], cluster: Cluster, helm: Helm) -> tuple[Finding, ...]:
    """Put every object that Helm has applied, and would change, to the API server in a dry run, all at once.

    Nothing is sent for releases that are new or stay as they are, nor for objects that stay the same.

    Returns:
        A failure for each object that the API server would not change so; a note for each that could not be asked.

    Raises:
        ClusterError: The cluster cannot be reached, or does not accept the credentials.
    """
    questions = {
        ref: question
        for change in changes
        if change.installed and change.reasons
        for ref, question in changed_objects(change, helm.parse(change.installed.applied)).items()
    }
    found = await asyncio.gather(*(_ask(ref, question, cluster) for ref, question in questions.items()))
    return tuple(finding for finding in found if finding)


async def _ask(ref: ObjectRef, question: Question, cluster: Cluster) -> Finding | None:
    try:
        await cluster.objects.merge(merge_patch(*question), ref, dry_run=True, manager=HELM_MANAGER)
    except RefusedError as exc:
        if exc.status == HTTPStatus.UNAUTHORIZED:
            raise
        return refusal(ref, question, exc)
    return None


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
