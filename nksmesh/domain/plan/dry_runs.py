"""Objects that would change, put to the API server before anything is written: what is asked, and what answers mean.

The question is a JSON merge patch (RFC 7386) from what Helm has applied to what the chart renders now. Helm 3 writes a
three-way patch, Helm 4 applies server-side; both come to this patch where fields are immutable. A server-side apply in
a dry run does not: what Helm 3 wrote belongs to another manager's entry, so a renamed port would stay beside its
successor and be refused as a duplicate, and a removed label would stay and not be refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.plan.plan import ReleaseChange

Question = tuple[Manifest, Manifest]
"""An object as Helm has applied it, and as the chart renders it now."""

_VALUE: Final = re.compile(r'(?:Invalid|Unsupported) value: .*[}\])"0-9]: ', re.DOTALL)
"""The value in an API server's sentence: a whole pod template, with what its environment says, may be quoted there."""
_IMMUTABLE: Final = re.compile(
    r"immutable|(?:may|can) ?not (?:be )?chang|updates? to .* forbidden|once set",
    re.IGNORECASE | re.DOTALL,
)
_DENIED: Final = re.compile(r"denied (?:the )?request", re.IGNORECASE)
"""How an admission webhook, and a ValidatingAdmissionPolicy, refuse; both may say 422."""


def changed_objects(change: ReleaseChange, applied: Iterable[Manifest]) -> dict[ObjectRef, Question]:
    """List the objects of a release that Helm has applied and would write otherwise now.

    Args:
        applied: What Helm has applied of it.
    """
    before = {ref_of(manifest, change.release.namespace): manifest for manifest in applied}
    after = {ref_of(manifest, change.release.namespace): manifest for manifest in change.manifests}
    return {ref: (old, after[ref]) for ref, old in before.items() if ref in after and after[ref] != old}


def merge_patch(old: Manifest, new: Manifest) -> dict[str, Any]:
    """Write the merge patch that makes of an object, which was applied as ``old``, what ``new`` says.

    What goes is null. A list that stays the same is left out: others may have added to it, and a patch replaces it
    whole.
    """
    gone = {key: None for key in old if key not in new}
    kept = {
        key: merge_patch(before, value) if isinstance(before := old.get(key), Mapping) else value
        for key, value in new.items()
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
    }
    plain = {
        key: value
        for key, value in new.items()
        if key not in kept and not (isinstance(value, list) and value == old.get(key))
    }
    return {**gone, **kept, **plain}


def refusal(ref: ObjectRef, question: Question, answer: RefusedError) -> Finding | None:
    """Judge a dry run that the API server refused; None where the object is new to it.

    Args:
        answer: The refusal.

    Returns:
        A failure where the API server would refuse the write as well, for the object's own fields; else a note.
    """
    words = answer.detail or answer.message
    if answer.status == HTTPStatus.NOT_FOUND and f'"{ref.name}" not found' in words:
        return None
    if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY or _DENIED.search(words):
        return Finding(
            id="kube.dry-run-refused",
            level=Level.NOTE,
            subject=str(ref),
            message=f"{ref} could not be checked before it is written: its dry run was refused: {words}",
        )
    fields = "; ".join(f"{field}: {_VALUE.sub('', said)}" for field, said in answer.causes) or _VALUE.sub("", words)
    immutable = _IMMUTABLE.search(fields) is not None
    hint = (
        _way_on(ref, question)
        if immutable
        else "Change the values or the chart that set it, then run the same command again."
    )
    return Finding(
        id="kube.immutable-field" if immutable else "kube.invalid-object",
        subject=str(ref),
        message=f"{ref} cannot be changed to what the chart renders: {fields}",
        hint=hint,
    )


def _way_on(ref: ObjectRef, question: Question) -> str:
    """Say how to go on where a field is immutable: the object is deleted, and the next run makes it anew."""
    where = f"-n {ref.namespace} " if ref.namespace else ""
    delete = f"kubectl {where}delete {_resource(ref)} {ref.name}"
    again = "then run the same command again. Or keep the installed charts and values."
    if ref.kind not in ROLLOUT_KINDS:
        address = " (a load balancer's address may change)" if ref.kind == "Service" else ""
        return f"Delete it{address}: {delete}, {again}"
    if _selects(*question):
        return f"Delete it and leave its pods running: {delete} --cascade=orphan, {again}"
    return f"Delete it with its pods, which the new one does not select: {delete}, {again}"


def _resource(ref: ObjectRef) -> str:
    """Name a kind as kubectl takes it, with the group where it has one of its own."""
    group = ref.api_version.rpartition("/")[0]
    return f"{ref.kind.lower()}.{group}" if "." in group else ref.kind.lower()


def _selects(old: Manifest, new: Manifest) -> bool:
    """Tell whether a workload, made anew, selects the pods of the one before."""
    selector = ((new.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    labels = (pod_template(old).get("metadata") or {}).get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())
