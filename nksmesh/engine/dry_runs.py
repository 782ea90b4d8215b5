"""Server-side dry runs of what a plan would change: an immutable field is found before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import HELM_MANAGER, ObjectRef
from nksmesh.domain.plan.dry_runs import Question, changed_objects, merge_patch, refusal
from nksmesh.domain.plan.plan import ReleaseChange
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
