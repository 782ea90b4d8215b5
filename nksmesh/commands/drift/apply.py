"""Putting an object back: as Helm itself would write it, or only asking what would come of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.drift.additions import additions, without
from nksmesh.domain.drift.drift import held_by, intended, is_held
from nksmesh.domain.kube.keyed_lists import added_items, merged
from nksmesh.domain.kube.objects import HELM_MANAGER, Manifest, ObjectRef
from nksmesh.engine.crds import VERSION_ANNOTATION, marked
from nksmesh.engine.ports import Objects

LOOKS: Final = 3
"""How often an object is looked at that changes between the two questions about it."""

_TRIES: Final = 8
_PAUSE: Final = 0.05
"""Seconds before the next try, longer each time: a controller that rolls pods out writes their status many times."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An object that a mesh should have.

    Attributes:
        manifest: What is stored of it.
        owner: The release it is of; None for a CRD of a chart's crds/ folder.
        chart_version: The version of the chart it is from.
        manager: The field manager that it is applied as.
        autoscaled: A HorizontalPodAutoscaler of the release targets it.
    """

    ref: ObjectRef
    manifest: Manifest = field(repr=False)
    owner: Release | None
    chart_version: str
    manager: str = HELM_MANAGER
    autoscaled: bool = False

    def over(self, live: Manifest | None) -> dict[str, Any]:
        """Return what it should be, where something is live already.

        A CRD of crds/ has the mark of its version as nksmesh applies it, but not where plain Helm brought it.
        """
        ours = self.owner is None and (live is None or _has_mark(live))
        manifest = marked(self.manifest, self.chart_version) if ours else self.manifest
        return intended(manifest, live, owner=self.owner, autoscaled=self.autoscaled)


async def put(wanted: Wanted, live: Manifest | None, objects: Objects, *, dry_run: bool) -> dict[str, Any]:
    """Make an object what it should be, or only ask what would come of it.

    It is applied server-side as Helm would, by force. What somebody added only goes by a patch that has a list as it
    should be, and takes a field away by name; so does what the API server's schema does not know, which Helm 3 passes
    over.

    Raises:
        RefusedError: The API server does not take it.
        ClusterError: The cluster cannot be reached.
    """
    body = wanted.over(live)
    beside = additions(body, live) if live is not None else ()
    added = live is not None and (bool(beside) or next(added_items(body, live), None) is not None)
    if not added:
        try:
            return await objects.apply(body, wanted.ref, dry_run=dry_run, manager=wanted.manager)
        except RefusedError as exc:
            if live is None or exc.status == HTTPStatus.FORBIDDEN:
                raise
    whole = without(merged(body, live), beside)
    patch = {**{key: part for key, part in whole.items() if key != "status"}, "metadata": body["metadata"]}
    after = await objects.merge(patch, wanted.ref, dry_run=dry_run, manager=wanted.manager)
    if added and not dry_run and live is not None:
        after = await objects.apply(body, wanted.ref, manager=wanted.manager)
        return await _disowned(wanted, live, after, objects)
    return after


async def _disowned(wanted: Wanted, before: Manifest, after: dict[str, Any], objects: Objects) -> dict[str, Any]:
    """Take back what a patch made its manager's beside its apply, where Helm applies server-side.

    Helm 4 would find the fields held by its own name, and refuse to change them at its next upgrade. What Helm 3
    wrote has no apply of Helm's, and stays as Helm 3 holds it.
    """
    held = {operation: held_by(before, wanted.manager, operation) for operation in ("Apply", "Update")}
    if not held["Apply"]:
        return after
    for attempt in range(1, _TRIES + 1):
        entries = after["metadata"].get("managedFields") or ()
        others = [entry for entry in entries if not is_held(entry, wanted.manager, "Update")]
        metadata = {
            "resourceVersion": after["metadata"].get("resourceVersion"),
            "managedFields": [*others, *held["Update"]],
        }
        try:
            return await objects.merge({"metadata": metadata}, wanted.ref, manager=wanted.manager)
        except RefusedError as exc:
            if exc.reason != "Conflict" or attempt == _TRIES:
                raise
            await asyncio.sleep(_PAUSE * attempt)
            after = await objects.get(wanted.ref) or after  # its controller wrote its status meanwhile
    return after


def _has_mark(live: Manifest) -> bool:
    return VERSION_ANNOTATION in (live["metadata"].get("annotations") or {})
