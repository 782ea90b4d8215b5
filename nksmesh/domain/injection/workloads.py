"""The pods of each workload against its namespace: injected as they would be now, or not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.injection.place import Place
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.workloads import (
    Listed,
    Workload,
    is_injected,
    istio_revision_of,
    key_of,
    pods_by_workload,
    workload_of,
)
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL, injection_labels


class State(StrEnum):
    """How the pods of a workload are."""

    INJECTED = "injected"
    NOT_INJECTED = "not injected"
    PARTLY = "partly injected"
    NO_PODS = "no pods"


@dataclass(frozen=True, kw_only=True)
class WorkloadInjection:
    """A workload, and whether its pods have a proxy.

    Attributes:
        workload: The workload, all its pods counted.
        injected: How many of them have a proxy.
        why: Why they are not as its namespace's labels would have new ones, or why these get none; may be empty.
        finding: The same as a finding.
        moves: A restart would bring its pods a proxy, take it away, or change its Istio revision.
    """

    workload: Workload = field(metadata=HIDDEN)
    kind: str
    name: str
    pods: int
    injected: int
    istio_revisions: tuple[str, ...]
    why: str = ""
    finding: Finding | None = field(default=None, metadata=HIDDEN)
    moves: bool = field(default=False, metadata=HIDDEN)

    @property
    def state(self) -> State:
        """How its pods are."""
        if not self.pods:
            return State.NO_PODS
        if not self.injected:
            return State.NOT_INJECTED
        return State.INJECTED if self.injected == self.pods else State.PARTLY

    def json_form(self) -> dict[str, object]:
        """Return what JSON has: with the id of the rule."""
        return {
            "kind": self.kind,
            "name": self.name,
            "state": self.state,
            "pods": self.pods,
            "injected": self.injected,
            "istio_revisions": self.istio_revisions,
            "why": self.why,
            "rule": self.finding.id if self.finding else "",
        }


@dataclass(frozen=True, kw_only=True)
class NamespaceInjection:
    """A namespace: its labels, and its workloads.

    Attributes:
        labels: Those of its labels that decide which istiod injects its pods.
        istio_revision: The Istio revision that injects a new pod of it that says nothing itself; empty for none.
        found: What was found of the namespace itself.
    """

    name: str
    labels: Mapping[str, str]
    istio_revision: str
    workloads: tuple[WorkloadInjection, ...] = ()
    found: tuple[Finding, ...] = field(default=(), metadata=HIDDEN)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found of the namespace, and of its workloads."""
        return (*self.found, *(workload.finding for workload in self.workloads if workload.finding))


def judge_namespace(namespace: Manifest, place: Place, listed: Listed) -> NamespaceInjection:
    """Judge the workloads of a namespace.

    Args:
        place: The namespace, with the labels that it is judged by.
        listed: What is in the namespace.
    """
    since = labelled_at(namespace)
    groups = pods_by_workload(listed.pods, listed.replica_sets)
    owners = {key_of(str(owner.get("kind")), owner): owner for owner in listed.owners}
    empty = {key: list[Manifest]() for key, owner in owners.items() if _wanted(owner)}
    rows = [_judge(key, pods, owners.get(key), place, since) for key, pods in sorted({**empty, **groups}.items())]
    return NamespaceInjection(
        name=place.name,
        labels=injection_labels(place.labels),
        istio_revision=place.revision_of({}),
        workloads=tuple(rows),
    )


def missing_pull_secrets(namespace: NamespaceInjection, missing: Iterable[str]) -> NamespaceInjection:
    """Add the pull secrets that the namespace's injected pods name, and that do not exist."""
    found = (
        Finding(
            id="inject.missing-pull-secret",
            level=Level.WARNING,
            subject=f"{namespace.name}/{name}",
            message=f"namespace {namespace.name} has no Secret {name}: its pods cannot pull the proxy's image",
            hint=f"Copy the Secret from the control plane's namespace to {namespace.name}.",
        )
        for name in missing
    )
    return replace(namespace, found=(*namespace.found, *found))


def labelled_at(namespace: Manifest) -> str:
    """Return when an injection label of a namespace was last written, as ``managedFields`` has it; may be empty."""
    keys = {f"f:{INJECTION_LABEL}", f"f:{REVISION_LABEL}"}
    times = [
        str(entry.get("time", ""))
        for entry in namespace["metadata"].get("managedFields") or ()
        if keys & set(((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or ())
    ]
    return max(times, default="")


def _judge(
    key: tuple[str, str, str], pods: list[Manifest], owner: Manifest | None, place: Place, since: str
) -> WorkloadInjection:
    workload = workload_of(key, pods, owner)
    injected = [pod for pod in pods if is_injected(pod)]
    bare = [pod for pod in pods if not is_injected(pod)]
    about = (*_about_bare(bare, place, since), *_about_injected(injected, place, workload))
    found: Finding | None = None if pods else _no_pods(workload, owner or {})
    found, moves = about[0] if about else (found, False)
    return WorkloadInjection(
        workload=workload,
        kind=workload.kind,
        name=workload.name,
        pods=len(pods),
        injected=len(injected),
        istio_revisions=workload.istio_revisions,
        why=found.message if found else "",
        finding=replace(found, subject=str(workload), message=f"{workload}: {found.message}") if found else None,
        moves=moves,
    )


def _about_bare(bare: list[Manifest], place: Place, since: str) -> Iterator[tuple[Finding, bool]]:
    """Say why pods have no proxy, and whether new ones would have."""
    for pod in bare:
        found = place.why_not(pod)
        yield (_older(bare, place, since), True) if found is None else (found, False)


def _about_injected(injected: list[Manifest], place: Place, workload: Workload) -> Iterator[tuple[Finding, bool]]:
    """Say what new pods would have instead of what pods with a proxy have, and whether a restart is what brings it."""
    for pod in injected:
        found, has = place.why_not(pod), istio_revision_of(pod)
        gets = place.revision_of(pod["metadata"].get("labels") or {})
        if found is not None and found.level is Level.WARNING:
            yield replace(found, message=f"new pods get no proxy: {found.message}"), False
        elif found is not None:
            yield (
                Finding(
                    id="inject.still-injected",
                    level=Level.WARNING,
                    message=f"{counted(len(injected), 'pod still has', 'pods still have')} a proxy, and new ones get "
                    f"none: {found.message}",
                    hint=f"Run nksmesh inject disable {place.name} --restart to restart it.",
                ),
                True,
            )
        elif has and gets != has:
            yield (
                Finding(
                    id="inject.other-revision",
                    level=Level.WARNING,
                    message=f"its proxy is of Istio revision {has}, and the labels now select {gets}",
                    hint=f"Run kubectl rollout restart -n {place.name} {workload.kind.lower()}/{workload.name}.",
                ),
                True,
            )


def _older(bare: list[Manifest], place: Place, since: str) -> Finding:
    """Say that pods were created before they would have been given a proxy."""
    created = max(str(pod["metadata"].get("creationTimestamp") or "") for pod in bare)
    labelled = since and created <= since
    before = f"the label of namespace {place.name}" if labelled else f"istiod injected namespace {place.name}"
    were = counted(len(bare), "pod was", "pods were")
    return Finding(
        id="inject.older-pods",
        level=Level.WARNING,
        message=f"{were} created before {before}",
        hint=f"Run nksmesh inject enable {place.name} --restart to restart it.",
    )


def _no_pods(workload: Workload, owner: Manifest) -> Finding:
    return Finding(
        id="inject.no-pods",
        level=Level.WARNING,
        message=f"it has none of its {counted(_wanted(owner), 'pod')}",
        hint=f"Run kubectl describe -n {workload.namespace} {workload.kind.lower()} {workload.name} to see why.",
    )


def _wanted(owner: Manifest) -> int:
    """Return how many pods a Deployment or a StatefulSet is to have; 0 for a DaemonSet, which the nodes decide."""
    return 0 if owner.get("kind") == "DaemonSet" else int((owner.get("spec") or {}).get("replicas", 0))
