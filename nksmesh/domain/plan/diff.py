"""What a plan changes in manifests: old against new, object by object, without what is secret in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.common.data import named
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.keyed_lists import by_key
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.mesh.load_balancer import is_tls_key

MASKED: Final = "(hidden)"
"""What stands in the place of a secret."""
_SECRET_NAME: Final = re.compile(r"passw|passphrase|secret|token|credential|(?:api|access|private)_?key", re.IGNORECASE)
"""What a container's environment calls what is nobody's business."""
_PRIVATE_KEY: Final = "PRIVATE KEY-----"
"""How each kind of private key begins in PEM (RFC 7468)."""


@dataclass(frozen=True, kw_only=True)
class ObjectDiff:
    """How one object changes.

    Attributes:
        change: ``added``, ``removed`` or ``changed``.
        lines: A unified diff of its YAML.
    """

    ref: ObjectRef = field(metadata=named("object"))
    change: str
    lines: tuple[str, ...]


def diff_manifests(
    old: Iterable[Manifest], new: Iterable[Manifest], namespace: str, dump: Callable[[Manifest], str]
) -> tuple[ObjectDiff, ...]:
    """Compare two sets of manifests; objects that stay the same are left out."""
    before = {ref_of(manifest, namespace): manifest for manifest in old}
    after = {ref_of(manifest, namespace): manifest for manifest in new}
    found = []
    for ref in sorted({*before, *after}):
        was, will = before.get(ref), after.get(ref)
        if was == will:
            continue
        lines = difflib.unified_diff(
            dump(masked(was, {})).splitlines() if was else [],
            dump(masked(will, was or {})).splitlines() if will else [],
            fromfile=f"{ref} (installed)",
            tofile=f"{ref} (planned)",
            lineterm="",
        )
        change = "changed" if was and will else ("added" if will else "removed")
        found.append(ObjectDiff(ref=ref, change=change, lines=tuple(lines)))
    return tuple(found)


def masked(manifest: Manifest, before: Manifest) -> Manifest:
    """Hide what is secret in an object; not that it changes.

    That is what a Secret holds, a container's variables whose names say that they are secret, and private keys: of a
    load balancer's listener in an annotation, and in PEM anywhere.

    What equals the state before is hidden in the same words, and anything else says so.
    """
    if manifest.get("kind") != "Secret":
        shown: Manifest = _discreet(manifest, before)
        return shown
    hidden = {
        part: {key: _hidden(value, (before.get(part) or {}).get(key, value)) for key, value in held.items()}
        for part in ("data", "stringData")
        if (held := manifest.get(part))
    }
    return {**manifest, **hidden}


def masked_value(value: Any, key: str = "") -> Any:
    """Hide of a release's values what is called a secret, and a private key whatever its key is called.

    Args:
        key: Its key; empty for an item of a list.
    """
    if isinstance(value, Mapping):
        called = str(value.get("name", ""))  # of a variable: its value is told by that
        return {name: masked_value(inner, called if name == "value" else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked_value(item) for item in value]
    secret = isinstance(value, str) and value and (_is_secret(key) or _is_private_key(key, value))
    return _hidden(value, value) if secret else value


def _is_private_key(name: str, text: str) -> bool:
    """Tell a private key, by the annotation that holds it or by its own first line."""
    return is_tls_key(name) or _PRIVATE_KEY in text


def _is_secret(name: str) -> bool:
    """Tell what holds a secret, and not the name of one."""
    return _SECRET_NAME.search(name) is not None and not name.lower().endswith("name")


def _discreet(value: Any, before: Any, field: str = "") -> Any:
    if isinstance(value, Mapping):
        known = before if isinstance(before, Mapping) else {}
        return {key: _discreet(inner, known.get(key), str(key)) for key, inner in value.items()}
    if isinstance(value, str) and value and _is_private_key(field, value):
        return _hidden(value, value if before is None else before)
    if not isinstance(value, list):
        return value
    keys, there = by_key(field, value), by_key(field, before) or {}
    pairs = [(now, there.get(key)) for key, now in keys.items()] if keys is not None else [(now, None) for now in value]
    if field == "env":
        return [_variable(now, known or {}) if isinstance(now, Mapping) else now for now, known in pairs]
    return [_discreet(now, known) for now, known in pairs]


def _variable(variable: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    if "value" not in variable or not _SECRET_NAME.search(str(variable.get("name", ""))):
        return variable
    return {**variable, "value": _hidden(variable["value"], before.get("value", variable["value"]))}


def _hidden(value: Any, before: Any) -> str:
    return f"{MASKED} {counted(len(str(value)), 'character')}{'' if value == before else ', others'}"
