"""Which value an image comes from: the key that holds it or a part of it, and the layer that set the key.

Two keys may hold the same words. What the values say is a guess then; the proof is a render with one of them changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.kube.images import FoundImage
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import LayerKind, SetPath, copied, dotted

_VERSION_TAG: Final = re.compile(r"(?:pilot|proxy)[^/:]*:(v?(\d{1,4}\.\d{1,4}\.\d{1,4})(?:[.-][^/]*)?)$")
_MARK: Final = "-nksmesh"
_DEFAULT: Final = "the chart's own default"


@dataclass(frozen=True, kw_only=True)
class Setter:
    """A value that an image may come from."""

    path: SetPath
    value: str
    layer: str

    def __str__(self) -> str:
        """Name the layer and the key."""
        return f"{self.layer} ({dotted(self.path)})"

    def changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values with this one changed, so that an image that comes from it is another one."""
        probe: dict[str, Any] = copied(values)
        here: Any = probe
        for step in self.path[:-1]:
            here = here[step]
        here[self.path[-1]] = f"{self.value}{_MARK}"
        return probe


def setters_of(image: FoundImage, change: ReleaseChange, *, tag: str = "") -> tuple[Setter, ...]:
    """List the values that an image may come from, the likeliest first: of equal ones that of the strongest layer.

    Args:
        change: The release that renders it.
        tag: The image's tag, where it is asked who set that: the tag itself is likelier than an image with it. Else
            the longest value that the image begins with is the likeliest.
    """
    strength = {layer.name: number for number, layer in enumerate(change.layers)}
    found = [
        Setter(path=path, value=text, layer=layer if path == leaf else _layer_of_item(path, text, change) or layer)
        for leaf, value, layer in change.composed.leaves()
        for path, text in _texts(value, leaf)
        if text and (text.endswith(tag) if tag else image.image.startswith(text))
    ]
    long = 1 if tag else -1
    return tuple(sorted(found, key=lambda setter: (long * len(setter.value), -strength.get(setter.layer, -1))))


def setter_of(image: FoundImage, change: ReleaseChange, *, tag: str = "") -> str:
    """Name the layer and the key that an image, or its tag, comes from: proved where that was tried, else the guess."""
    if (image, tag) in change.setters:
        return change.setters[image, tag]
    return next((str(setter) for setter in setters_of(image, change, tag=tag)), _DEFAULT)


def stray_images(mesh: Mesh, change: ReleaseChange) -> Iterator[FoundImage]:
    """Find the images that lie neither in the hub nor below a prefix that was admitted."""
    for image in sorted(set(change.images)):
        if not image.lies_in((mesh.hub, *mesh.allow_images)):
            yield image


def other_versions(mesh: Mesh, change: ReleaseChange) -> Iterator[tuple[FoundImage, str]]:
    """Find Istio's images of another version than the mesh, each with its tag.

    A tag that is no version, of an image somebody built, is theirs to know.
    """
    for image in change.images:
        tag = _VERSION_TAG.search(image.image)
        if tag and not image.opt_in and tag[2] != mesh.version:
            yield image, tag[1]


def undecided(mesh: Mesh, change: ReleaseChange, *, versions: bool) -> dict[tuple[FoundImage, str], tuple[Setter, ...]]:
    """List the images that will be complained of, and that may come from more than one value.

    Args:
        versions: Images of other versions are complained of, too.

    Returns:
        The values, by the image and the tag that is asked about, or an empty one.
    """
    asked = [(image, "") for image in stray_images(mesh, change) if not image.opt_in]
    asked += other_versions(mesh, change) if versions else ()
    found = {(image, tag): setters_of(image, change, tag=tag) for image, tag in asked}
    return {about: setters for about, setters in found.items() if len(setters) > 1}


def _layer_of_item(path: SetPath, text: str, change: ReleaseChange) -> str:
    """Name the layer that an item of a list is from: an index of ``--set`` takes the others along as they are."""
    named, before = "", ""
    for layer in change.layers:
        (now,) = [found for place, found in _texts(layer.values, ()) if place == path] or [""]
        if now == text and not (layer.kind is LayerKind.SET and before == text):
            named = layer.name
        before = now or before
    return named


def _texts(value: Any, path: SetPath) -> Iterator[tuple[SetPath, str]]:
    """List the strings of a leaf: itself, or those in a list."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
