"""Additions: fields that somebody wrote into an object beside what its release says, such as hostNetwork in a pod.

Helm leaves them alone, and so does a dry run of the manifest; the API server's managedFields tell who holds them
(Kubernetes, Server-Side Apply, field management). What looks like one and is none goes by itself: whoever made an
object holds the API server's defaults, too, and a dry run without such a field shows it again as it was.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nksmesh.domain.drift.noise import NOISE
from nksmesh.domain.kube.keyed_lists import extended
from nksmesh.domain.kube.objects import FIELD_MANAGER, HELM_MANAGER, Manifest
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS

Key: TypeAlias = str | Mapping[str, Any]
"""A step of a path: a map's key, or what tells a list's item apart."""

_POD: Final = ("spec", "template", "spec")
_PARTS: Final = frozenset({"spec", "webhooks"})
"""Where an object says what it does. Labels, annotations and a ConfigMap's keys are for everybody to add."""

_BY_HAND: Final = "kubectl"
_RELEASES_OWN: Final = frozenset({HELM_MANAGER, FIELD_MANAGER})


@dataclass(frozen=True)
class Addition:
    """A field beside the manifest's.

    Attributes:
        by: The field manager that holds it: ``kubectl-edit``.
    """

    path: tuple[Key, ...]
    by: str

    @property
    def field(self) -> str:
        """The path in words: ``spec.template.spec.containers[discovery].command``."""
        text = ""
        for key in self.path:
            text = extended(text, key) if isinstance(key, str) else f"{text}[{'/'.join(map(str, key.values()))}]"
        return text


def additions(wanted: Manifest, live: Manifest) -> tuple[Addition, ...]:
    """Find the fields of a live object that its manifest has not, and somebody else's field manager holds.

    In a pod template that is whoever is not Helm, for no controller writes there. Elsewhere, where istiod, autoscalers
    and clouds write, it is kubectl alone. What noise.py knows is nobody's addition.
    """
    if live.get("kind") == "CustomResourceDefinition":
        return ()
    entries = [entry for entry in live["metadata"].get("managedFields") or () if _counts(entry, live)]
    own = [entry["fieldsV1"] for entry in entries if entry["manager"] in _RELEASES_OWN]
    found: dict[str, Addition] = {}
    for entry in entries:
        if entry["manager"] in _RELEASES_OWN:
            continue
        for path in _beyond(entry["fieldsV1"], wanted, live, own):
            addition = Addition(path, entry["manager"])
            if _is_theirs(addition, live):
                found.setdefault(addition.field, addition)
    return tuple(found.values())


def without(body: Mapping[str, Any], some: Iterable[Addition]) -> dict[str, Any]:
    """Return a merge patch's body that takes some additions away: null removes a key, and a list is as it is said."""
    cut: dict[str, Any] = copy.deepcopy(dict(body))
    for addition in some:
        place: Any = cut
        in_list = False
        *way, last = addition.path
        for key in way:
            in_list = in_list or not isinstance(key, str)
            place = _item(place, key) if place is not None else None
        if isinstance(place, dict) and isinstance(last, str):
            if in_list:
                place.pop(last, None)
            else:
                place[last] = None
    return cut


def holder_of(field: str, some: Iterable[Addition]) -> str:
    """Name who holds a field that differs, where it is an addition or below one; empty where it is none."""
    for addition in some:
        if field == addition.field or field.startswith((f"{addition.field}.", f"{addition.field}[")):
            return addition.by
    return ""


def _counts(entry: Mapping[str, Any], live: Manifest) -> bool:
    """Leave out what is held of a subresource (a status, a scale), and what is told in another version's fields."""
    same = entry.get("apiVersion") in {None, live.get("apiVersion")}
    return same and not entry.get("subresource") and isinstance(entry.get("fieldsV1"), Mapping)


def _is_theirs(addition: Addition, live: Manifest) -> bool:
    path = addition.path
    if path[0] not in _PARTS or "metadata" in path or _is_noise(path, str(live.get("kind"))):
        return False
    in_pod = live.get("kind") in ROLLOUT_KINDS and path[: len(_POD)] == _POD
    return in_pod or addition.by.startswith(_BY_HAND)


def _is_noise(path: Sequence[Key], kind: str) -> bool:
    plain = tuple(key if isinstance(key, str) else "[]" for key in path)
    return any(kind in noise.kinds and plain == noise.path for noise in NOISE)


def _beyond(
    fields: Mapping[str, Any], wanted: Any, live: Any, own: Sequence[Any], path: tuple[Key, ...] = ()
) -> Iterator[tuple[Key, ...]]:
    """Yield where held fields leave what the manifest has and the release's own managers hold.

    A list's added item is another matter (keyed_lists.py).
    """
    for name, below in fields.items():
        mark, _, text = name.partition(":")
        if mark == "f" and isinstance(wanted, Mapping) and isinstance(live, Mapping) and text in live:
            here = (*path, text)
            if text in wanted or any(_holds(held, here) for held in own):
                yield from _beyond(below, wanted.get(text, {}), live[text], own, here)
            else:
                yield here
        elif mark == "k":
            keys = json.loads(text)
            said, there = _item(wanted, keys), _item(live, keys)
            if said is not None and there is not None:
                yield from _beyond(below, said, there, own, (*path, keys))


def _holds(fields: Any, path: Sequence[Key]) -> bool:
    """Tell whether held fields have a path, or something below it."""
    for key in path:
        if isinstance(key, str):
            fields = fields.get(f"f:{key}")
        else:
            fields = next(
                (below for name, below in fields.items() if name[:2] == "k:" and json.loads(name[2:]) == key), None
            )
        if fields is None:
            return False
    return True


def _item(value: Any, key: Key) -> Any:
    """Go one step: into a map, or to the item of a list that its keys tell apart."""
    if isinstance(key, str):
        return value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return None
    same = (row for row in value if isinstance(row, Mapping) and all(_default(row, name) == key[name] for name in key))
    return next(same, None)


def _default(item: Mapping[str, Any], name: str) -> Any:
    return item.get(name, "TCP" if name == "protocol" else None)
