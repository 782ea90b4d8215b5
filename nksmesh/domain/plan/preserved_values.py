"""What a release's values say beyond other layers: what is kept of somebody else's, and what would be lost of it.

Nothing vanishes: laid over those layers again, it gives every value that Helm has stored. What pins a tag or a hub is
named, for it would hold on through every upgrade (istio-facts 5, values traps).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.known_keys import NESTS
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import Layer, LayerKind, compose, dotted, leaves, merge, value_at

_PINS: Final = frozenset({"hub", "tag", "image"})
"""Keys that say which image runs: one of them in a user's layer outlasts upgrades and moves to another registry."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The values of one release, sorted out.

    Attributes:
        beyond: What Helm has stored and our layers do not set so: it becomes the kept layer.
        added: The keys that our layers set and the installed release does not have.
        pins: The keys of the kept layer that pin an image.
    """

    beyond: Mapping[str, Any] = field(default_factory=dict, repr=False)
    added: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()


def sort_out(stored: Mapping[str, Any], ours: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Kept:
    """Sort a release's values into our own layers' and what is beyond them.

    Args:
        ours: What our layers come to.
        defaults: The chart's values.yaml, where what only repeats it may be left out: a copy of the whole file that
            was passed with ``-f`` pins everything in it.
    """
    under = merge(flat_defaults(defaults), ours) if defaults is not None else ours
    beyond = _beyond(stored, under)
    composed = merge(ours, beyond)
    added = [
        dotted(path)
        for path, value, _ in compose((Layer(name="composed", values=composed),)).leaves()
        if value_at(stored, path) != value
    ]
    return Kept(beyond=beyond, added=tuple(added), pins=tuple(pins_of(beyond)))


def said_to_helm(installed: InstalledRelease, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a user said of a release's values: in an edited values.yaml of its chart, and to Helm.

    Which images run is left out of the former: our own layers give that, and follow the version.

    Args:
        defaults: The values.yaml of the same chart as it is published.
    """
    edited = _beyond(flat_defaults(installed.chart_values), flat_defaults(defaults))
    return merge(_without_pins({key: value for key, value in edited.items() if key not in NESTS}), installed.values)


def values_lost(change: ReleaseChange) -> tuple[str, ...]:
    """Name the values that Helm has of a release, and that neither a layer nor the chart that is wanted would set.

    What was edited in the chart itself can be told where the chart that is wanted is of the same version.
    """
    installed = change.installed
    if installed is None:
        return ()
    same = installed.chart_version == change.chart.ref.version
    stored = said_to_helm(installed, change.chart.defaults) if same else installed.values
    under = merge(flat_defaults(change.chart.defaults), change.composed.values)
    beyond = compose((Layer(name="stored", values=_beyond(stored, under)),))
    return tuple(
        dotted(path)
        for path, value, _ in beyond.leaves()
        if value not in (None, {}) and not change.composed.layers_of(path)
    )


def pinned(release: str, values: Mapping[str, Any], key: str) -> str:
    """Say that a value of a release pins an image."""
    value = value_at(values, tuple(key.split(".")))
    return f"{release}: {key} is pinned to {value}: it stays through every upgrade, and overrides --hub and --region"


def kept_layer(name: str, values: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Make a layer that is kept of another tool's: as an environment's, it holds on below ``-f``, until ``-e``."""
    return (Layer(name=name, values=values, kind=LayerKind.PRESERVED),) if values else ()


def layer_of(release: Release, beyond: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Make the kept layer of a Helm release."""
    return kept_layer(f"Helm release {release.name}", beyond)


def flat_defaults(defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a chart's defaults with the keys where a user writes them: at the top."""
    nested: Mapping[str, Any] = next((defaults[key] for key in NESTS if isinstance(defaults.get(key), Mapping)), {})
    return merge(nested, defaults)


def _beyond(stored: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """Return the least that, laid over some values, gives everything that is stored."""
    kept: dict[str, Any] = {}
    for key, value in stored.items():
        below = under.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            if inner := _beyond(value, below):
                kept[key] = inner
        elif key not in under or below != value:
            kept[key] = value
    return kept


def pins_of(beyond: Mapping[str, Any]) -> Iterable[str]:
    """Name the keys of a user's values that pin an image."""
    return (dotted(path) for path, value in leaves(beyond) if path[-1] in _PINS and value and isinstance(value, str))


def _without_pins(values: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            if inner := _without_pins(value):
                kept[key] = inner
        elif key not in _PINS:
            kept[key] = value
    return kept
