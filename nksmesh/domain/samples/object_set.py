"""Objects from the files of Istio's samples, as nksmesh applies them: marked, so that these alone are deleted again.

Each object that nksmesh applies has a label that names its set: what is deleted has it, and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.images.mirroring import in_hub
from nksmesh.domain.kube.objects import (
    CLUSTER_SCOPED,
    Manifest,
    ObjectRef,
    containers,
    crds_of,
    kind_of_crd,
    managers_of,
    pod_template,
    ref_of,
)
from nksmesh.domain.kube.owners import foreign_owner

SAMPLE_LABEL: Final = "nksmesh.io/sample"
"""What an object has that nksmesh applied from a set: the set's name."""

_MOST_NAMES: Final = 5


@dataclass(frozen=True, kw_only=True)
class ObjectSet:
    """Objects of Istio's samples that are applied and deleted together.

    Attributes:
        folder: The folder of its files, below ``samples``.
        files: Its files, in the order in which they are applied, relative to that folder.
        kinds: The (apiVersion, kind) of its objects.
        movable: It can be in any namespace, and has no cluster-scoped objects.
        removal: The command that removes it.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    removal: str
    movable: bool = True


def placed_objects(
    wanted: ObjectSet, manifests: Iterable[Manifest], namespace: str, image_hub: str
) -> tuple[dict[str, Any], ...]:
    """Return a set's objects as they are applied: in the namespace, marked, their images from the hub.

    Args:
        manifests: The objects as the files have them.
        image_hub: A registry path; empty for the images as they are.

    Raises:
        ConfigError: An object is of another namespace or kind, or cluster-scoped in a set that can be in any
            namespace; or an image or the hub is none.
    """
    known = tuple(manifests)
    kinds = {kind for _, kind in wanted.kinds} | {kind_of_crd(crd) for crd in crds_of(known)}
    return tuple(_placed(wanted, manifest, namespace, image_hub, kinds) for manifest in known)


def check_foreign(wanted: ObjectSet, found: Mapping[ObjectRef, Manifest | None]) -> Iterator[Finding]:
    """Find objects of a set that somebody else made: a failure each.

    Args:
        found: The objects as they are now.
    """
    elsewhere = f", or deploy {wanted.name} in another namespace: -n NAME" if wanted.movable else ""
    for ref, live in found.items():
        owner = foreign_owner(live, SAMPLE_LABEL) if live is not None else None
        if owner is not None:
            yield Finding(
                id="sample.foreign-object",
                subject=str(ref),
                message=f"{ref} belongs to {owner}: nksmesh does not change or delete it",
                hint=f"Delete it where it comes from{elsewhere}.",
                error=ClusterError,
            )


def check_changed(found: Mapping[ObjectRef, Manifest]) -> Iterator[Finding]:
    """Find objects that somebody changed by hand since nksmesh applied them: a warning each."""
    for ref, live in found.items():
        hands = [manager for manager in managers_of(live) if manager.startswith("kubectl-")]
        if hands:
            yield Finding(
                id="sample.changed-object",
                level=Level.WARNING,
                subject=str(ref),
                message=f"{ref} was changed by hand ({', '.join(hands)}) since nksmesh applied it",
            )


def check_crds_in_use(others: Mapping[ObjectRef, Iterable[ObjectRef]]) -> Iterator[Finding]:
    """Name the CRDs that stay, for objects of their kind would go with them that nksmesh did not apply.

    Args:
        others: These objects, by CRD.
    """
    for crd, objects in others.items():
        yield Finding(
            id="sample.crd-in-use",
            level=Level.WARNING,
            subject=str(crd),
            message=f"{crd} stays: {first_few(list(map(str, objects)), _MOST_NAMES)} would be deleted with it",
            hint=f"If you no longer need these objects, run kubectl delete crd {crd.name}.",
        )


def _placed(wanted: ObjectSet, manifest: Manifest, namespace: str, image_hub: str, kinds: set[str]) -> dict[str, Any]:
    placed: dict[str, Any] = copy.deepcopy(dict(manifest))
    metadata, ref = placed["metadata"], ref_of(manifest, namespace)
    placeable = ref.namespace == namespace or (not wanted.movable and ref.kind in CLUSTER_SCOPED)
    if not ref.name or not placeable or ref.kind not in kinds:
        raise ConfigError(
            f"sample {wanted.name}: {str(ref).strip('/')} is no object that nksmesh applies in namespace {namespace}",
            hint=f"Remove it from the file, or apply it yourself. Objects have a name, no other namespace, and are "
            f"{', '.join(kind for _, kind in wanted.kinds)}.",
        )
    if ref.namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), SAMPLE_LABEL: wanted.name}
    if image_hub:
        for container in containers(pod_template(placed)):
            image = str(container.get("image", ""))
            if image:
                container["image"] = str(in_hub(image, image_hub))  # type: ignore[index]  # a copy of our own
    return placed
