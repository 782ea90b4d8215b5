"""Objects of no release: which of them change, and how each is written or deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import Manifest, ObjectRef, kind_of_crd, ref_of
from nksmesh.domain.plan.plan import Action, ObjectStep, Step
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.observation import CRDS, crds_established
from nksmesh.engine.ports import Objects

CRD: Final = CRDS.kind
_PAUSE: Final = 0.5
_OF_THE_SERVER: Final = ("managedFields", "resourceVersion", "generation")
"""What differs in an object's metadata from one request to the next, though nothing of the object has changed."""


@dataclass(frozen=True, kw_only=True)
class LaterServedStep(ObjectStep):
    """An object of a kind whose CRD comes with it."""


@dataclass(frozen=True, kw_only=True)
class EstablishedStep(Step):
    """CRDs are served.

    Attributes:
        crds: Their names.
    """

    crds: tuple[str, ...]


async def steps_to(
    manifests: Iterable[Manifest], found: Mapping[ObjectRef, Manifest | None], objects: Objects
) -> tuple[ObjectStep, ...]:
    """Return a step for each object, which is kept where applying it would change nothing: the API server is asked.

    Of an object whose CRD comes with it, nothing can be asked: it is created when its CRD is there.

    Args:
        manifests: The objects as they are to be.
        found: The same as they are now.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses an object: an admission webhook's words are in detail.
    """
    wanted = {ref_of(manifest): manifest for manifest in manifests}
    coming = {kind_of_crd(crd) for ref, crd in wanted.items() if ref.kind == CRD and found.get(ref) is None}
    known = [ref for ref in wanted if ref.kind not in coming]
    asked = (objects.apply(wanted[ref], ref, dry_run=True, force=False) for ref in known)
    answers = dict(zip(known, await asyncio.gather(*asked), strict=True))

    def action(ref: ObjectRef) -> Action:
        live = found.get(ref)
        if live is None:
            return Action.CREATE
        return Action.KEEP if _bare(live) == _bare(answers[ref]) else Action.APPLY

    return tuple(
        (LaterServedStep if ref.kind in coming else ObjectStep)(
            name=str(ref), action=action(ref), ref=ref, manifest=manifest
        )
        for ref, manifest in wanted.items()
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


@handles(LaterServedStep)
async def write_later_served(work: StepContext[LaterServedStep]) -> str:
    """Create an object as soon as the API server serves its kind: that is a while after its CRD is Established."""
    clock, objects = asyncio.get_running_loop().time, work.cluster.objects
    end = clock() + work.runtime.waits.component
    while True:
        try:
            return await write_object(work)
        except RefusedError as refused:
            if refused.status != HTTPStatus.NOT_FOUND or clock() >= end:
                raise
        work.tell(EventKind.WAITING, f"the API server to serve {work.step.ref.api_version}")
        await asyncio.sleep(_PAUSE)
        objects.forget(work.step.ref.api_version)


@handles(EstablishedStep)
async def prove_established(work: StepContext[EstablishedStep]) -> str:
    """Wait until CRDs are Established."""
    live, names = work.cluster.live, work.step.crds
    new = await live.follow([replace(CRDS, fields=f"metadata.name={name}") for name in names])
    try:
        return await work.until_ready(lambda: crds_established(live, names))
    finally:
        await live.unfollow(new)


def _bare(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _OF_THE_SERVER}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}
