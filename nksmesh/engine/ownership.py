"""Whose objects these are: nothing of somebody else's is ever written to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.domain.adoption.takeover import of_istioctl
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import FIELD_MANAGER, ObjectRef, helm_marks, managers_of, owned_by, ref_of
from nksmesh.domain.kube.owners import Owner, Tool, owner_of
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.ports import Cluster

_CRD: Final = "CustomResourceDefinition"


@dataclass(frozen=True, kw_only=True)
class Owned:
    """What the check of owners found.

    Attributes:
        changes: What is to become of each release, with what is missing of it among the reasons.
        ending: Objects of the mesh that are being deleted.
        findings: A failure where something belongs to somebody else.
        not_shown: Releases that Helm does not show, and that objects are marked as theirs.
    """

    changes: dict[str, ReleaseChange]
    ending: tuple[ObjectRef, ...]
    findings: tuple[Finding, ...] = ()
    not_shown: tuple[Release, ...] = ()


async def check_owners(changes: Mapping[str, ReleaseChange], cluster: Cluster, *, take_over: bool = False) -> Owned:
    """Check that whatever exists already belongs to the release that wants it; see what of a release is missing.

    Args:
        take_over: What istioctl made becomes the release's.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    refs = {
        name: [ref_of(manifest, change.release.namespace) for manifest in change.manifests]
        for name, change in changes.items()
    }
    live = await cluster.objects.get_all((ref for some in refs.values() for ref in some), metadata_only=True)
    foreign: list[str] = []
    others: list[Owner] = []
    elsewhere: set[str] = set()
    checked = {}
    for name, change in changes.items():
        taken = tuple(ref for ref in refs[name] if take_over and (found := live[ref]) and of_istioctl(found))
        left = tuple(ref for ref in refs[name] if ref not in taken and _may_be_taken(ref, live[ref], change))
        theirs = [
            (ref, found)
            for ref in refs[name]
            if (found := live[ref]) is not None and ref not in {*left, *taken} and not owned_by(change.release, found)
        ]
        foreign += [f"{ref} belongs to {owner_of(found)}" for ref, found in theirs]
        others += [owner_of(found) for _, found in theirs if not of_istioctl(found)]
        elsewhere |= {marks[0] for _, found in theirs if (marks := helm_marks(found))} - {change.release.namespace}
        missing = [ref for ref in refs[name] if live[ref] is None]
        checked[name] = _with_missing(_with_taken(_with_left(change, left), taken), missing)
    findings: tuple[Finding, ...] = ()
    if foreign:
        objects = counted(len(foreign), "object of this mesh already exists", "objects of this mesh already exist")
        message = f"{objects} and {'belongs' if len(foreign) == 1 else 'belong'} to another owner; nothing was changed"
        findings = (
            Finding(
                id="ownership.foreign-object",
                message=message,
                hint=_way_on(elsewhere - {""}, others),
                detail="\n".join(foreign),
                error=ClusterError,
            ),
        )
    not_shown = tuple(
        change.release
        for name, change in changes.items()
        if change.installed is None
        # base's CRDs stay when Helm removes it, and tell nothing
        and any(ref.kind != _CRD and owned_by(change.release, live[ref] or {}) for ref in refs[name])
    )
    return Owned(changes=checked, ending=ending_of(live), findings=findings, not_shown=not_shown)


def _way_on(namespaces: Collection[str], owners: Iterable[Owner]) -> str:
    """Say what to do: the releases of another namespace are another mesh's, and it is not this one that is adopted.

    Args:
        namespaces: The namespaces of other releases that own something.
        owners: The owners of what belongs to somebody else, and is not taken over from istioctl.
    """
    if namespaces:
        others = " and ".join(sorted(namespaces))
        return (
            f"They belong to a mesh in namespace {others}. Manage that mesh (-n {min(namespaces)}), or remove it first."
        )
    for owner in owners:
        if owner.tool not in {Tool.HELM, Tool.ISTIOCTL, Tool.NOBODY}:
            return owner.way_on
    return (
        "Run nksmesh adopt if Helm installed this mesh, or nksmesh adopt --from "
        "istioctl if istioctl did. Remove objects that are not part of a mesh first."
    )


def ending_of(live: Mapping[ObjectRef, Mapping[str, Any] | None]) -> tuple[ObjectRef, ...]:
    """Return those of some live objects that are being deleted."""
    return tuple(ref for ref, found in live.items() if found is not None and found["metadata"].get("deletionTimestamp"))


def _may_be_taken(ref: ObjectRef, live: Mapping[str, Any] | None, change: ReleaseChange) -> bool:
    """Tell a CRD that no release owns and base may: up to chart 1.23 no release owned any, from 1.24 on base does.

    That is one that an earlier mesh of ours applied or, where base is installed, one of Istio's charts: Helm installed
    it from crds/, or somebody applied it as Istio's notes on upgrades say.
    """
    if ref.kind != _CRD or live is None or owned_by(change.release, live):
        return False
    metadata = live["metadata"]
    if helm_marks(live):
        return False
    labels = metadata.get("labels") or {}
    of_a_chart = change.installed is not None and any(labels.get(key) == "istio" for key in ("chart", "release"))
    return of_a_chart or FIELD_MANAGER in managers_of(live)


def _with_left(change: ReleaseChange, left: tuple[ObjectRef, ...]) -> ReleaseChange:
    reasons = (f"takes ownership of {counted(len(left), 'CRD')} that no release owns",) if left else ()
    return replace(change, left_crds=left, reasons=(*change.reasons, *reasons))


def _with_taken(change: ReleaseChange, taken: tuple[ObjectRef, ...]) -> ReleaseChange:
    reasons = (f"takes ownership of {counted(len(taken), 'object')} that istioctl installed",) if taken else ()
    return replace(change, taken=taken, reasons=(*change.reasons, *reasons))


def _with_missing(change: ReleaseChange, missing: Iterable[ObjectRef]) -> ReleaseChange:
    reasons = tuple(f"{ref} is missing" for ref in missing)
    return change if change.installed is None or change.reasons else replace(change, reasons=reasons)
