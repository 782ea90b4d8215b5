"""The steps that bring a subject's objects to what recipes make, in an order that loses no request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nksmesh.domain.kube.objects import Manifest, ref_of
from nksmesh.domain.plan.plan import Action, ObjectStep, in_sequence
from nksmesh.domain.traffic.objects import DESTINATION_RULE, VIRTUAL_SERVICE
from nksmesh.domain.traffic.recipes import RECIPES, TRAFFIC_OF
from nksmesh.domain.traffic.surroundings import Surroundings


def steps_of(around: Surroundings, manifests: Iterable[Manifest]) -> tuple[ObjectStep, ...]:
    """Order what changes so that no route ever names a subset that is not there."""
    wanted = {ref_of(manifest): manifest for manifest in manifests}
    steps = [
        ObjectStep(
            name=str(ref), action=Action.APPLY if around.live(ref) else Action.CREATE, ref=ref, manifest=manifest
        )
        for ref, manifest in wanted.items()
        if own_part(around.live(ref) or {}) != own_part(manifest)
    ]
    gone = [ref_of(manifest) for manifest in around.made if ref_of(manifest) not in wanted]
    steps += [ObjectStep(name=str(ref), action=Action.REMOVE, ref=ref) for ref in gone]
    return in_sequence(sorted(steps, key=lambda step: _turn(step, around)))


def _turn(step: ObjectStep, around: Surroundings) -> int:
    removed = step.manifest is None
    if step.ref.kind == VIRTUAL_SERVICE:
        return 0 if removed else 2
    if step.ref.kind != DESTINATION_RULE:
        return 4
    lost = _subsets(around.live(step.ref)) - _subsets(step.manifest)
    return 3 if removed or lost else 1


def _subsets(rule: Manifest | None) -> set[str]:
    return {str(subset.get("name")) for subset in ((rule or {}).get("spec") or {}).get("subsets") or ()}


def own_part(manifest: Manifest) -> dict[str, Any]:
    """Return of an object what recipes say of it: no status, and no metadata of the API server's or of others."""
    metadata = manifest.get("metadata") or {}
    kept = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    for key, own in (("labels", TRAFFIC_OF), ("annotations", RECIPES)):
        if own in (metadata.get(key) or {}):
            kept[key] = {own: metadata[key][own]}
    return {
        **{key: manifest[key] for key in ("apiVersion", "kind") if key in manifest},
        "metadata": kept,
        "spec": manifest.get("spec") or {},
    }
