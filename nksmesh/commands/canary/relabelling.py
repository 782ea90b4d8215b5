"""Labels of namespaces that a canary moves: those from before are kept in an annotation of the namespace itself.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nksmesh.commands.canary.start import LABELS_BEFORE
from nksmesh.domain.common.data import fields_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL, injection_labels
from nksmesh.engine.ports import Cluster


@dataclass(frozen=True, kw_only=True)
class Move:
    """One namespace that is moved.

    Attributes:
        before: Its labels that decide which istiod injects its pods.
        after: The same, once it is moved.
    """

    namespace: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    workloads: tuple[Workload, ...] = ()

    @property
    def step(self) -> str:
        """What the step is called that moves it."""
        return f"namespace {self.namespace}"

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and the workloads in words."""
        return fields_of(self) | {"workloads": [str(workload) for workload in self.workloads]}


def moved_beyond(moves: Collection[Move], shown: Collection[Move]) -> tuple[str, ...]:
    """Name what some moves do and others did not say."""
    labels = {move.namespace: move.after for move in shown}
    restarted = {str(workload) for move in shown for workload in move.workloads}
    return (
        *(
            f"namespace {move.namespace} is labelled {said(move.after)}"
            for move in moves
            if move.after != labels.get(move.namespace)
        ),
        *(
            f"{workload} is restarted"
            for move in moves
            for workload in move.workloads
            if str(workload) not in restarted
        ),
    )


async def relabel(move: Move, cluster: Cluster, *, keep: bool) -> str:
    """Give a namespace its new labels, and say which.

    Args:
        keep: Those from before go into an annotation.
    """
    metadata: dict[str, Any] = {"labels": {key: move.after.get(key) for key in (INJECTION_LABEL, REVISION_LABEL)}}
    if keep:
        metadata["annotations"] = {LABELS_BEFORE: json.dumps(dict(move.before), sort_keys=True)}
    await cluster.objects.merge({"metadata": metadata}, ObjectRef("v1", "Namespace", move.namespace))
    return f"labelled {said(move.after)}" if move.after else said(move.after)


async def forget_moves(moves: Iterable[Move], cluster: Cluster) -> None:
    """Remove the labels that namespaces kept from before, once they are back and their pods are."""
    for move in moves:
        patch = {"metadata": {"annotations": {LABELS_BEFORE: None}}}
        await cluster.objects.merge(patch, ObjectRef("v1", "Namespace", move.namespace))


async def moves_back(cluster: Cluster) -> tuple[Move, ...]:
    """List the namespaces that were moved, with the labels they had."""
    found = await cluster.objects.list("v1", "Namespace", metadata_only=True)
    return tuple(
        Move(
            namespace=str(namespace["metadata"]["name"]),
            before=injection_labels(namespace["metadata"].get("labels") or {}),
            after=labels_before(namespace) or {},
        )
        for namespace in found
        if labels_before(namespace) is not None
    )


def labels_before(namespace: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the labels that a moved namespace had; None where it was not moved."""
    kept = (namespace["metadata"].get("annotations") or {}).get(LABELS_BEFORE)
    if kept is None:
        return None
    try:
        return injection_labels({str(key): str(label) for key, label in json.loads(kept).items()})
    except (ValueError, AttributeError) as exc:
        raise ConfigError(
            f"annotation {LABELS_BEFORE} of namespace {namespace['metadata']['name']} cannot be read",
            hint="Restore the namespace's former label, remove the annotation, and run the same command again.",
        ) from exc


def said(labels: Mapping[str, str]) -> str:
    """Write injection labels for a reader."""
    return ", ".join(f"{key}={label}" for key, label in labels.items()) or "no injection label"
