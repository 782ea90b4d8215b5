"""Which label has a mesh inject a namespace, which takes the injection away, and the namespaces that get neither."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from nksmesh.domain.charts.releases import ISTIOD, Release
from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.injection.place import IGNORED, Place
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.revisions import (
    DEFAULT_TAG,
    INJECTION_LABEL,
    REVISION_LABEL,
    injection_labels,
    spoken_revision,
)

OFF: Final[Mapping[str, str]] = {INJECTION_LABEL: "disabled"}


def default_choice(record: Record) -> str:
    """Return what a namespace names that follows the mesh's own istiod: the default, or its Istio revision."""
    own = record.settings.revisions
    return DEFAULT_TAG if _is_default(own) else own.istio_revision


def labels_of(choice: str) -> dict[str, str]:
    """Return the one label that selects an Istio revision or a tag."""
    return {INJECTION_LABEL: "enabled"} if choice == DEFAULT_TAG else {REVISION_LABEL: choice}


def choices(record: Record) -> dict[str, Release]:
    """Return what a namespace may name, and the istiod that each leads to: the mesh's Istio revision, and all tags.

    A canary's own Istio revision is none of them: ``canary move`` keeps the labels from before, for the way back.
    """
    own, canary = record.settings.revisions, record.canary
    istiod = next(
        entry.release
        for entry in record.releases
        if entry.release.component == ISTIOD.name and entry.release.istio_revision == own.istio_revision
    )
    found = {default_choice(record): istiod, spoken_revision(own.istio_revision): istiod}
    found |= dict.fromkeys(own.tags, istiod)
    return found | (dict.fromkeys(canary.settings.revisions.tags, canary.release) if canary else {})


def check_choice(choice: str, record: Record) -> tuple[Finding, ...]:
    """Judge what namespaces are to name: a failure where the mesh has no such Istio revision or tag."""
    known = choices(record)
    if choice in known:
        return ()
    hint = f"The Istio revisions and tags are {', '.join(known)}."
    if record.canary and choice == record.canary.istio_revision:
        hint = "It is the canary's: run nksmesh canary move NAMESPACE."
    return (
        Finding(
            id="inject.unknown-revision",
            message=f"{choice!r} is no Istio revision or tag that a namespace of this mesh may use",
            hint=hint,
            error=ConfigError,
        ),
    )


def check_known(names: Iterable[str], known: Collection[str]) -> tuple[Finding, ...]:
    """Judge the namespaces that the user names: a failure for each that does not exist."""
    hint = "Run kubectl get namespaces to list them."
    return tuple(
        Finding(id="inject.missing-namespace", message=f"there is no namespace {name!r}", hint=hint, error=ConfigError)
        for name in names
        if name not in known
    )


def check_namespace(name: str, namespace: Manifest, *, on: bool, mesh: str, moved: bool) -> Iterator[Finding]:
    """Judge a namespace whose labels are to be changed.

    Args:
        on: It is to be injected.
        mesh: The control plane's namespace.
        moved: It was moved to a canary, and keeps the labels from before.
    """
    if namespace["metadata"].get("deletionTimestamp"):
        yield Finding(
            id="inject.ending-namespace",
            message=f"namespace {name} is being deleted",
            hint=f"Wait until it is gone: kubectl wait --for=delete namespace/{name}.",
            error=ClusterError,
        )
    if on and name in {*IGNORED, mesh}:
        why = "it has the control plane" if name == mesh else "istiod ignores it"
        yield Finding(
            id="inject.system-namespace",
            message=f"namespace {name} cannot be injected: {why}",
            hint="Name the namespaces of your own applications.",
            error=ConfigError,
        )
    if moved:
        yield Finding(
            id="inject.moved-namespace",
            message=f"namespace {name} was moved to the canary",
            hint=f"Run nksmesh canary move --back {name} first, or nksmesh canary promote.",
            error=ConfigError,
        )


def check_injected(place: Place, wanted: Release) -> Iterator[Finding]:
    """Judge the labels that a namespace is to have: a failure where they would not lead its pods to an istiod."""
    expected, found = spoken_revision(wanted.istio_revision), place.revision_of({})
    if found != expected:
        instead = f"Istio revision {found} would" if found else "no istiod would"
        yield Finding(
            id="inject.no-istiod",
            message=f"pods of namespace {place.name} are to be injected by Istio revision {expected}, and {instead} "
            "inject them",
            hint="Run nksmesh status to see the mesh, and nksmesh install to restore it.",
        )


def labels_after(place: Place, record: Record, *, on: bool, choice: str) -> dict[str, str]:
    """Return the injection labels that a namespace is to have: one, or none where none is enough.

    What does already what is asked for stays as it is.

    Args:
        on: It is to be injected.
        choice: What it is to name; empty for the mesh's own istiod.
    """
    before = injection_labels(place.labels)
    if not on:
        bare = place.labelled({})
        if before in ({}, OFF) and not place.revision_of({}):
            return before
        return dict(OFF) if bare.revision_of({}) else {}
    known = choices(record)
    own = known[default_choice(record)]
    alike = [labels_of(name) for name, istiod in known.items() if istiod == own]
    return before if not choice and before in alike else labels_of(choice or default_choice(record))


def _is_default(own: DeployedRevisions) -> bool:
    return not own.istio_revision or DEFAULT_TAG in own.tags
