"""Drift: where a live object is not what its release's manifest says, apart from what others rightly write.

The API server itself says what a manifest comes to: a dry run of it is compared with the live object, so that defaults
and ways of writing a number are the same on both sides. Three things it does not say: what istiod and controllers write
over what a chart renders (noise.py), what somebody added to a list (keyed_lists.py), and which fields somebody added to
a spec (additions.py). An added label, annotation or key of a ConfigMap is no drift: it is for everybody to add.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import fields_of, named
from nksmesh.domain.drift.noise import take_noise
from nksmesh.domain.kube.keyed_lists import by_key, extended
from nksmesh.domain.kube.objects import Manifest, ObjectRef, with_helm_marks
from nksmesh.domain.plan.diff import masked

_CRD: Final = "CustomResourceDefinition"


class Change(StrEnum):
    """What is the matter with a live object."""

    MISSING = "missing"
    DIFFERS = "differs"
    ENDING = "being deleted"


@dataclass(frozen=True, kw_only=True)
class ObjectDrift:
    """One object that is not as it should be.

    Attributes:
        release: The name of the release it is of; empty for a CRD of a chart's crds/ folder.
        fields: Where it differs: ``spec.template.spec.containers[discovery].image``.
        added: Those of the fields that the manifest has not, and the field manager that added each.
        lines: A unified diff from what is live to what the manifest comes to.
        refusal: Why the API server would not take the manifest's word, where it would not.
    """

    ref: ObjectRef = field(metadata=named("object"))
    release: str
    change: Change
    fields: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = field(default=(), metadata=named("diff"))
    refusal: str = ""

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the object in words and in parts, and an added field beside who added it."""
        added = [{"field": path, "by": by} for path, by in self.added.items()]
        parts = {"kind": self.ref.kind, "namespace": self.ref.namespace, "name": self.ref.name}
        return fields_of(self) | parts | {"added": added}


_BOOKKEEPING: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""What the API server keeps of an object itself (Kubernetes, ObjectMeta)."""

_CONTROLLERS_NOTES: Final = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubectl.kubernetes.io/restartedAt",
    }
)
"""Annotations of controllers and of kubectl; the last applied configuration may hold a Secret's contents, too."""


def intended(manifest: Manifest, live: Manifest | None, *, owner: Release | None, autoscaled: bool) -> dict[str, Any]:
    """Return what an object should be: the manifest as Helm applies it, noise as it is live.

    Args:
        manifest: The stored manifest, which lacks what marks the object as its release's.
        live: The live object, or None where there is none.
        owner: The release; None for what no release owns.
        autoscaled: A HorizontalPodAutoscaler of the release targets it.
    """
    kept = {key: value for key, value in manifest.items() if key != "status"}
    body: dict[str, Any] = copy.deepcopy(kept) if manifest.get("kind") == _CRD else _without_nulls(kept)
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key not in _BOOKKEEPING}
    if owner is not None:
        metadata = with_helm_marks(metadata, owner)
    body["metadata"] = metadata
    if live is not None:
        take_noise(body, live, autoscaled=autoscaled)
    return body


def shown(live: Manifest) -> dict[str, Any]:
    """Return what of an object is compared and shown: without status and bookkeeping."""
    kept = {key: value for key, value in live.items() if key not in {"status", "metadata"}}
    metadata = {key: value for key, value in (live.get("metadata") or {}).items() if key not in _BOOKKEEPING}
    kept = {"apiVersion": kept.pop("apiVersion", ""), "kind": kept.pop("kind", ""), "metadata": metadata, **kept}
    _leave_out_notes(metadata)
    template = (kept.get("spec") or {}).get("template") if isinstance(kept.get("spec"), Mapping) else None
    if isinstance(template, Mapping) and isinstance(template.get("metadata"), Mapping):
        of_pods = dict(template["metadata"])
        _leave_out_notes(of_pods)
        kept["spec"] = {**kept["spec"], "template": {**template, "metadata": of_pods}}
    return kept


def differing(live: Any, wanted: Any, path: str = "", field: str = "") -> Iterator[str]:
    """Name the fields in which two objects differ; another order of a keyed list is none."""
    if live == wanted:
        return
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*live, *wanted}):
            yield from differing(live.get(key), wanted.get(key), extended(path, key), str(key))
        return
    there, said = by_key(field, live), by_key(field, wanted)
    if there is None or said is None:
        yield path
        return
    for key in dict.fromkeys((*said, *there)):
        yield from differing(there.get(key), said.get(key), f"{path}[{key}]")


def diff_lines(ref: ObjectRef, live: Manifest | None, wanted: Manifest, dump: Callable[[Manifest], str]) -> list[str]:
    """Compare what is live with what should be, line by line.

    What a Secret holds is never shown, nor is a container's password, whoever wrote it in the open.
    """
    before = shown(live) if live is not None else {}
    lines = difflib.unified_diff(
        dump(masked(before, {})).splitlines() if live is not None else [],
        dump(masked(shown(wanted), before)).splitlines(),
        fromfile=f"{ref} (live)",
        tofile=f"{ref} (manifest)",
        lineterm="",
    )
    return list(lines)


def is_held(entry: Mapping[str, Any], manager: str, operation: str) -> bool:
    """Tell an entry of managedFields: what a manager holds by its writes (``Update``) or its applies (``Apply``)."""
    return (entry.get("manager"), entry.get("operation")) == (manager, operation) and not entry.get("subresource")


def held_by(live: Manifest, manager: str, operation: str) -> list[dict[str, Any]]:
    """Return what a manager holds of a live object, as managedFields has it."""
    return [dict(entry) for entry in live["metadata"].get("managedFields") or () if is_held(entry, manager, operation)]


def newer_crd(wanted: Manifest, live: Manifest) -> bool:
    """Tell a CRD that serves a version its manifest does not have: it is a later chart's."""
    served = [by_key("versions", (crd.get("spec") or {}).get("versions")) or {} for crd in (wanted, live)]
    return live.get("kind") == _CRD and bool(served[1].keys() - served[0].keys())


def autoscaled_by(manifests: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
    """Name the (kind, name) that a release's HorizontalPodAutoscalers target."""
    targets = (
        (manifest.get("spec") or {}).get("scaleTargetRef") or {}
        for manifest in manifests
        if manifest.get("kind") == "HorizontalPodAutoscaler"
    )
    return frozenset((str(target.get("kind")), str(target.get("name"))) for target in targets)


def is_named(ref: ObjectRef, text: str) -> bool:
    """Tell whether ``Kind/name`` or ``Kind/namespace/name`` means an object; the kind's case does not matter."""
    kind, *rest = text.split("/")
    return kind.lower() == ref.kind.lower() and rest in ([ref.name], [ref.namespace, ref.name])


def _leave_out_notes(metadata: dict[str, Any]) -> None:
    annotations = {
        key: text for key, text in (metadata.get("annotations") or {}).items() if key not in _CONTROLLERS_NOTES
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations


def _without_nulls(value: Any) -> Any:
    """Leave out keys that a template rendered without a value: Helm's JSON has them, the API server reads nothing."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else copy.deepcopy(value)
