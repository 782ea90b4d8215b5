"""Objects of no release: which of them change, and how each is written or deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.plan.plan import Action, ObjectStep
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.ports import Objects

_OF_THE_SERVER: Final = ("managedFields", "resourceVersion", "generation")
"""What differs in an object's metadata from one request to the next, though nothing of the object has changed."""


async def steps_to(
    manifests: Iterable[Manifest], found: Mapping[ObjectRef, Manifest | None], objects: Objects
) -> tuple[ObjectStep, ...]:
    """Return a step for each object, which is kept where applying it would change nothing: the API server is asked.

    Args:
        manifests: The objects as they are to be.
        found: The same as they are now.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses an object: an admission webhook's words are in detail.
    """
    wanted = {ref_of(manifest): manifest for manifest in manifests}
    asked = (objects.apply(manifest, ref, dry_run=True, force=False) for ref, manifest in wanted.items())
    answers = dict(zip(wanted, await asyncio.gather(*asked), strict=True))

    def action(ref: ObjectRef) -> Action:
        live = found.get(ref)
        if live is None:
            return Action.CREATE
        return Action.KEEP if _bare(live) == _bare(answers[ref]) else Action.APPLY

    return tuple(
        ObjectStep(name=str(ref), action=action(ref), ref=ref, manifest=manifest) for ref, manifest in wanted.items()
    )


@handles(ObjectStep)
async def write_object(work: StepContext[ObjectStep]) -> str:
    """Apply or delete an object."""
    step, objects = work.step, work.cluster.objects
    if step.action is Action.KEEP:
        return "unchanged"
    if step.manifest is None:
        return "removed" if await objects.delete(step.ref) else "was gone already"
    await objects.apply(step.manifest, step.ref)
    return "created" if step.action is Action.CREATE else "changed"


def _bare(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _OF_THE_SERVER}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}
