"""Whose objects these are: nothing of somebody else's is ever written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.domain.errors import ClusterError
from nksmesh.domain.objects import FIELD_MANAGER, ObjectRef, managers_of, owned_by, owner_of, ref_of
from nksmesh.domain.plan import ReleaseChange
from nksmesh.domain.releases import Release
from nksmesh.workflows.ports import Cluster

_CRD: Final = "CustomResourceDefinition"


@dataclass(frozen=True, kw_only=True)
class Owned:
    """What the check of owners found.

    Attributes:
        changes: What is to become of each release, with what is missing of it among the reasons.
        ending: Objects of the mesh that are being deleted.
    """

    changes: dict[str, ReleaseChange]
    ending: tuple[ObjectRef, ...]


async def check_owners(changes: Mapping[str, ReleaseChange], cluster: Cluster) -> Owned:
    """Check that whatever exists already belongs to the release that wants it; see what of a release is missing.

    Raises:
        ClusterError: Something belongs to somebody else.
    """
    refs = {
        name: [ref_of(one, change.release.namespace) for one in change.manifests] for name, change in changes.items()
    }
    live = await cluster.objects.get_all((ref for some in refs.values() for ref in some), metadata_only=True)
    foreign, checked = [], {}
    for name, change in changes.items():
        left = tuple(ref for ref in refs[name] if _left_by_us(ref, live[ref], change.release))
        foreign += [
            f"{ref} belongs to {owner_of(found)}"
            for ref in refs[name]
            if (found := live[ref]) is not None and ref not in left and not owned_by(change.release, found)
        ]
        missing = [ref for ref in refs[name] if live[ref] is None]
        checked[name] = _with_missing(_with_left(change, left), missing)
    if foreign:
        many = len(foreign) > 1
        raise ClusterError(
            f"{len(foreign)} object{'s' if many else ''} of this mesh exist{'' if many else 's'} already "
            f"and belong{'' if many else 's'} to somebody else; nothing was changed",
            hint="Remove that installation first, or install into a cluster without one.",
            detail="\n".join(foreign),
        )
    return Owned(changes=checked, ending=ending_of(live))


def ending_of(live: Mapping[ObjectRef, Mapping[str, Any] | None]) -> tuple[ObjectRef, ...]:
    """Return those of some live objects that are being deleted."""
    return tuple(ref for ref, one in live.items() if one is not None and one["metadata"].get("deletionTimestamp"))


def _left_by_us(ref: ObjectRef, live: Mapping[str, Any] | None, release: Release) -> bool:
    """Tell a CRD that an earlier mesh of ours applied: up to chart 1.23 no release owned it, from 1.24 base's does."""
    return (
        ref.kind == _CRD
        and live is not None
        and not owned_by(release, live)
        and "meta.helm.sh/release-name" not in (live["metadata"].get("annotations") or {})
        and FIELD_MANAGER in managers_of(live)
    )


def _with_left(change: ReleaseChange, left: tuple[ObjectRef, ...]) -> ReleaseChange:
    words = f"{len(left)} CRDs that an earlier mesh left become its own"
    said = (words if len(left) > 1 else "1 CRD that an earlier mesh left becomes its own",) if left else ()
    return replace(change, left_crds=left, reasons=(*change.reasons, *said))


def _with_missing(change: ReleaseChange, missing: Iterable[ObjectRef]) -> ReleaseChange:
    reasons = tuple(f"{ref} is missing" for ref in missing)
    return change if change.installed is None or change.reasons else replace(change, reasons=reasons)
