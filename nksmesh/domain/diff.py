"""What a plan changes in manifests: old against new, object by object, without the contents of Secrets."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.objects import Manifest, ObjectRef, ref_of

_MASKED: Final = "(hidden)"


@dataclass(frozen=True, kw_only=True)
class ObjectDiff:
    """How one object changes.

    Attributes:
        ref: The object.
        change: ``added``, ``removed`` or ``changed``.
        lines: A unified diff of its YAML.
    """

    ref: ObjectRef
    change: str
    lines: tuple[str, ...]


def diff_manifests(
    old: Iterable[Manifest], new: Iterable[Manifest], namespace: str, dump: Callable[[Manifest], str]
) -> tuple[ObjectDiff, ...]:
    """Compare two sets of manifests; objects that stay the same are left out.

    Args:
        old: What is installed.
        new: What would be.
        namespace: The release's namespace.
        dump: Writes a manifest as YAML.
    """
    before = {ref_of(one, namespace): one for one in old}
    after = {ref_of(one, namespace): one for one in new}
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
    """Hide what a Secret holds, but not that it changes: contents equal to those before stay equal, others say so."""
    if manifest.get("kind") != "Secret":
        return manifest
    hidden = {
        part: {key: _hidden(value, (before.get(part) or {}).get(key, value)) for key, value in held.items()}
        for part in ("data", "stringData")
        if (held := manifest.get(part))
    }
    return {**manifest, **hidden}


def _hidden(value: Any, before: Any) -> str:
    return f"{_MASKED} {len(str(value))} characters{'' if value == before else ', others'}"
