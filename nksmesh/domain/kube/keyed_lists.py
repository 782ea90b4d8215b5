"""Lists whose items have a key: server-side apply merges them item by item, and leaves what others added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAME: Final = (("name",),)

_KEYS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "containers": _NAME,
    "env": _NAME,
    "initContainers": _NAME,
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "versions": _NAME,
    "volumeMounts": (("mountPath",),),
    "volumes": _NAME,
    "webhooks": _NAME,
}
"""By the name of a list in a manifest of Istio's charts, what its items are told apart by (Kubernetes' OpenAPI,
``x-kubernetes-list-map-keys``). Lists to which controllers add of their own accord (a ServiceAccount's secrets, an
object's owners and finalizers) are not here."""

_DEFAULTS: Final = {"protocol": "TCP"}


def by_key(field: str, items: Any) -> dict[str, Any] | None:
    """Return a list's items by their keys in words; None for what is no list with keys.

    Args:
        field: The name that the list has in its object.
    """
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        return None
    for keys in _KEYS.get(field, ()):
        if all(keys[0] in item for item in items):
            found = {"/".join(str(item.get(key, _DEFAULTS.get(key, ""))) for key in keys): item for item in items}
            return found if len(found) == len(items) else None
    return None


def added_items(wanted: Any, live: Any, path: str = "", field: str = "") -> Iterator[str]:
    """Name what a live object's lists have and the manifest's do not; lists the manifest does not have are others'."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            yield from added_items(value, live.get(key), extended(path, key), str(key))
        return
    said, there = by_key(field, wanted), by_key(field, live)
    if said is None or there is None:
        return
    for key, item in there.items():
        if key in said:
            yield from added_items(said[key], item, f"{path}[{key}]")
        else:
            yield f"{path}[{key}]"


def merged(wanted: Any, live: Any, field: str = "") -> Any:
    """Lay the manifest over a live object; its lists have the manifest's items, each over the live one of its key."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return {**live, **{key: merged(value, live.get(key), str(key)) for key, value in wanted.items()}}
    said, there = by_key(field, wanted), by_key(field, live)
    if said is None or there is None:
        return wanted
    return [merged(item, there.get(key)) for key, item in said.items()]


def extended(path: str, key: object) -> str:
    """Write a field's path one key longer: ``metadata.labels.app``, ``metadata.labels[istio.io/rev]``."""
    text = str(key)
    if "." in text or "/" in text:
        return f"{path}[{text}]"
    return f"{path}.{text}" if path else text
