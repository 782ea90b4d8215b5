"""What a cluster must be for the guide to be walked on it, and for what it made to be removed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from nksmesh.domain.common.findings import Finding
from nksmesh.domain.common.spelling import first_few

_MOST_NAMES: Final = 5


def check_fresh(
    mesh: str, *, istio: Collection[str], namespace: str, labels: Collection[str], sample: Collection[str]
) -> Iterator[Finding]:
    """Find what the guide would be walked over: a failure each. It only makes what was not there before.

    Args:
        mesh: The mesh that is there, in words; empty where there is none.
        istio: Istio's CRDs, and the control plane's namespace, that are there.
        namespace: The sample's namespace.
        labels: Its labels for injection.
        sample: The sample's objects that are there.
    """
    if mesh:
        yield Finding(
            id="guide.existing-mesh",
            message=f"{mesh}: the guide is walked on a cluster without Istio",
            hint="Run nksmesh status to see it. If nksmesh guide made it, run nksmesh guide --undo.",
        )
    elif istio:
        yield Finding(
            id="guide.existing-istio",
            message=f"there is no mesh, but something is left of one: {first_few(sorted(istio), _MOST_NAMES)}",
            hint="Run nksmesh uninstall --purge to remove it. If only a namespace is left, delete it.",
        )
    if labels:
        yield Finding(
            id="guide.existing-label",
            message=f"namespace {namespace} has a label for injection: {', '.join(labels)}",
            hint="Choose another namespace: -n NAME. It must exist.",
        )
    if sample:
        yield Finding(
            id="guide.existing-sample",
            message=f"namespace {namespace} has objects of Bookinfo: {first_few(sorted(sample), _MOST_NAMES)}",
            hint="Choose another namespace: -n NAME. It must exist.",
        )


def check_made(mesh: str, *, by_guide: bool) -> Iterator[Finding]:
    """Find a mesh that the guide has not made: a failure.

    Args:
        mesh: The mesh that is there, in words; empty where there is none.
    """
    if mesh and not by_guide:
        yield Finding(
            id="guide.not-made",
            message=f"{mesh}: nksmesh guide has not made it; nothing was removed",
            hint="Run nksmesh uninstall to remove it.",
        )


def check_unused(
    objects: Collection[str], namespaces: Collection[str], workloads: Collection[str]
) -> Iterator[Finding]:
    """Find what somebody else has in the mesh that the guide made, and would lose: a failure.

    Args:
        objects: Istio objects that the walk has not made.
        namespaces: Other namespaces with labels for injection.
        workloads: Workloads with proxies that are not of the sample.
    """
    used = [*objects, *(f"namespace {name}" for name in namespaces), *workloads]
    if used:
        yield Finding(
            id="guide.mesh-in-use",
            message=f"the mesh is used by what the guide has not made: {first_few(sorted(used), _MOST_NAMES)}; "
            "nothing was removed",
            hint="Remove these first. Or run nksmesh uninstall, which shows all that goes, and asks.",
            detail="\n".join(sorted(used)[_MOST_NAMES:]),
        )
