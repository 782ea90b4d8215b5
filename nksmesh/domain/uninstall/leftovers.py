"""What is left of a mesh when its releases are gone: each thing, and many of them in few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from nksmesh.domain.common.data import HIDDEN, named
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.workloads import Workload

_MOST_NAMES: Final = 5
_MOST_COMMANDS: Final = 3
_CRD: Final = "CustomResourceDefinition"
_LEASE: Final = "Lease"


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something that Helm leaves when a mesh's releases go.

    Attributes:
        holds: What would be lost with it, in words; empty where it is nothing of a user's.
        objects: How many objects of a user's would go with it.
        stays: Why even a purge leaves it; empty where a purge removes it.
        made: nksmesh itself made it: it goes without a purge, too.
    """

    ref: ObjectRef = field(metadata=named("object"))
    holds: str = ""
    objects: int = 0
    stays: str = ""
    made: bool = field(default=False, metadata=HIDDEN)

    def __str__(self) -> str:
        words = "; ".join(part for part in (self.holds, self.stays) if part)
        return f"{self.ref} ({words})" if words else str(self.ref)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A namespace whose labels have istiod inject its pods, or leave them alone.

    Attributes:
        labels: Its labels ``istio-injection`` and ``istio.io/rev``; of a namespace that was moved to a canary, those
            it had before.
        stays: Why even a purge leaves them; empty where a purge removes them.
    """

    namespace: str
    labels: Mapping[str, str]
    stays: str = ""

    @property
    def words(self) -> str:
        """The labels in words."""
        return ", ".join(f"{key}={text}" for key, text in sorted(self.labels.items()))


def in_words(leftovers: Iterable[Leftover]) -> tuple[str, ...]:
    """Say what is left: what many namespaces have is one line, and so are the CRDs that nobody has objects of."""
    groups: dict[tuple[str, ...], list[Leftover]] = {}
    for leftover in leftovers:
        groups.setdefault(_group_of(leftover), []).append(leftover)
    return tuple(_joined(some) if len(some) > 1 else str(some[0]) for some in groups.values())


def labels_in_words(labelled: Iterable[Labelled]) -> tuple[str, ...]:
    """Say which labels namespaces have, one line for all that have the same."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in labelled:
        groups.setdefault((entry.words, entry.stays), []).append(entry.namespace)
    return tuple(
        f"label {words} of {_named(names)}{f' ({stays})' if stays else ''}" for (words, stays), names in groups.items()
    )


def sidecars_in_words(workloads: Sequence[Workload]) -> tuple[str, ...]:
    """Say which workloads run a sidecar, in one line; nothing where none does."""
    if not workloads:
        return ()
    pods = sum(workload.pods for workload in workloads)
    names = few([str(workload) for workload in workloads])
    verb = "runs" if len(workloads) == 1 else "run"
    return (f"{counted(len(workloads), 'workload')} ({counted(pods, 'pod')}) {verb} a sidecar: {names}",)


def next_steps(workloads: Sequence[Workload]) -> tuple[str, ...]:
    """Say what takes the sidecars away from workloads, once nothing injects them any more."""
    able = [workload for workload in workloads if workload.restartable]
    commands = [
        f"kubectl rollout restart -n {namespace} {' '.join(f'{owner.kind.lower()}/{owner.name}' for owner in some)}"
        for namespace, some in groupby(able, key=lambda workload: workload.namespace)
    ]
    more = len(commands) - _MOST_COMMANDS
    others = [workload for workload in workloads if not workload.restartable]
    return (
        *commands[:_MOST_COMMANDS],
        *([f"the same in {counted(more, 'more namespace')}"] if more > 0 else []),
        *(f"{workload}: {workload.not_restartable}" for workload in others[:_MOST_NAMES]),
        *(
            [f"{len(others) - _MOST_NAMES} more that kubectl rollout restart cannot restart"]
            if len(others) > _MOST_NAMES
            else []
        ),
    )


def few(names: Sequence[str]) -> str:
    """List names, and of very many the first ones and how many more there are: never a single one."""
    return first_few(names, _MOST_NAMES if len(names) > _MOST_NAMES + 1 else len(names))


def _named(namespaces: Sequence[str]) -> str:
    return f"namespace {namespaces[0]}" if len(namespaces) == 1 else f"{len(namespaces)} namespaces: {few(namespaces)}"


def _group_of(leftover: Leftover) -> tuple[str, ...]:
    if leftover.ref.kind == _CRD and not leftover.holds:
        return _CRD, leftover.stays
    if leftover.ref.kind == _LEASE:
        return _LEASE, leftover.ref.namespace, leftover.stays
    return leftover.ref.kind, leftover.ref.name, leftover.holds, leftover.stays


def _joined(some: Sequence[Leftover]) -> str:
    ref, stays = some[0].ref, some[0].stays
    if ref.kind == _CRD:
        words = f"{len(some)} {_CRD}s of Istio without objects"
    elif ref.kind == _LEASE:
        words = f"{len(some)} Leases in {ref.namespace}: {few([leftover.ref.name for leftover in some])}"
    else:
        words = f"{ref.kind} {ref.name} in {_named([leftover.ref.namespace for leftover in some])}"
    return f"{words} ({stays})" if stays else words
