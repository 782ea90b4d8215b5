"""Layers of values: merged as Helm merges them, remembering which layer set each key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias


class LayerKind(StrEnum):
    """What a layer is; ``name`` is only what a reader knows it by."""

    CATALOG = "catalog"
    IMAGES = "images"
    MESH = "mesh"
    LOAD_BALANCER = "load balancer"
    ENVIRONMENT = "environment"
    PRESERVED = "preserved"
    FILE = "file"
    SET = "set"

    @property
    def option(self) -> str:
        """The option that takes the layer's place when it is given: ``-e``, ``-f`` or ``--set`` (all of its kind).

        Empty where no option does. The record keeps the others, since a later run may be given other options or none.
        """
        return _OPTIONS.get(self, "")


_OPTIONS: Final = {
    LayerKind.LOAD_BALANCER: "-e",
    LayerKind.ENVIRONMENT: "-e",
    LayerKind.PRESERVED: "-e",
    LayerKind.FILE: "-f",
    LayerKind.SET: "--set",
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One source of values for one release.

    Attributes:
        name: What a reader knows it by: ``profile demo``, ``region kr1``, ``-f istiod=x.yaml``, ``--set``.
        kind: CATALOG for the components' and the profile's files, IMAGES for the region's or the hub's, MESH for what
            follows from the mesh itself, LOAD_BALANCER for a gateway's ``load_balancer`` of mesh.yaml, PRESERVED for
            what another tool had set.
        ours: It ships with nksmesh: its keys are never called misspelt.
        replaces: The keys whose maps take the place of those beneath, and are not merged with them.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)
    kind: LayerKind = LayerKind.CATALOG
    ours: bool = False
    replaces: tuple[tuple[str, ...], ...] = ()

    @property
    def option(self) -> str:
        """The option that takes its place when it is given; empty where none does."""
        return self.kind.option


Path: TypeAlias = tuple[str, ...]
SetPath: TypeAlias = tuple[str | int, ...]
"""Map keys, and list indexes as ints."""

_ESCAPED: Final = str.maketrans({rune: f"\\{rune}" for rune in "\\.=[,"})
"""What ends a key in Helm's grammar (pkg/strvals, key)."""


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others as Helm lays one ``-f`` file over another.

    Maps merge key by key; lists and scalars are replaced. A null replaces what is under it and stays in the result:
    Helm has to see it in order to delete the chart's default. Neither argument is changed or shared.
    """
    merged = {key: None if key in over else copied(value) for key, value in under.items()}
    for key, value in over.items():
        below = under.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = copied(value)
    return merged


def copied(value: Any) -> Any:
    """Copy values; a map or list that stands in two places becomes two, which may then change apart."""
    if isinstance(value, Mapping):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class Composed:
    """What a release's layers come to.

    Attributes:
        values: The one dict that is passed to Helm.
        origins: For each leaf of it (a scalar, a list, a null, an empty map), the name of the layer that set it.
    """

    values: Mapping[str, Any] = field(repr=False)
    origins: Mapping[Path, str] = field(repr=False)

    def layers_of(self, prefix: Path) -> tuple[str, ...]:
        """Name every layer that set something at or below a prefix, in the order of its keys.

        A path into a list (``("args", "0")``) belongs to whoever set the list.
        """
        for length in range(len(prefix), 0, -1):
            if (origin := self.origins.get(prefix[:length])) is not None:
                return (origin,)
        below = (origin for path, origin in self.origins.items() if path[: len(prefix)] == prefix)
        return tuple(dict.fromkeys(below))

    def leaves(self, prefix: Path = ()) -> tuple[tuple[Path, Any, str], ...]:
        """List each leaf at or below a prefix: its path, its value, and the layer that set it."""
        return tuple(
            (path, value_at(self.values, path), origin)
            for path, origin in sorted(self.origins.items())
            if path[: len(prefix)] == prefix
        )


def compose(layers: Iterable[Layer]) -> Composed:
    """Merge a release's layers, weakest first; ``layers_of_release`` in resolve.py has their order."""
    values: dict[str, Any] = {}
    origins: dict[Path, str] = {}
    for layer in layers:
        for path in layer.replaces:
            if isinstance(parent := value_at(values, path[:-1]), dict):
                parent.pop(path[-1], None)
        _record(layer.values, values, layer.name, (), origins)
        values = merge(values, layer.values)
    return Composed(values=values, origins=origins)


def value_at(values: Mapping[str, Any], path: Path) -> Any:
    """Read a nested value; None where the path leads nowhere."""
    found: Any = values
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def leaves(values: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each leaf of values (a scalar, a list, a null, an empty map) with its path behind a prefix."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def dotted(path: SetPath) -> str:
    """Write a path as ``--set`` reads it: dots between keys, ``[0]`` for a list's item."""
    words = ""
    for step in path:
        words += f"[{step}]" if isinstance(step, int) else ("." if words else "") + step.translate(_ESCAPED)
    return words


def undotted(text: str) -> Path:
    """Read map keys that ``dotted`` wrote."""
    return tuple(re.sub(r"\\(.)", r"\1", key) for key in re.findall(r"(?:\\.|[^\\.])+", text))


@dataclass(frozen=True, kw_only=True)
class Override:
    """A key that a later layer set otherwise than one that knows better.

    Attributes:
        wanted: What the overridden layer had set.
        value: What it is now.
        layer: The layer that set it so.
    """

    path: Path
    wanted: Any
    value: Any
    layer: str


def overrides_of(layers: Iterable[Layer], kind: LayerKind) -> tuple[Override, ...]:
    """List the keys of the layers of one kind that later layers set to something else."""
    all_layers = tuple(layers)
    composed = compose(all_layers)
    overrides = []
    for layer in all_layers:
        if layer.kind is not kind:
            continue
        for path, wanted, _ in compose((layer,)).leaves():
            value = value_at(composed.values, path)
            if value != wanted:
                above = composed.layers_of(path)
                overrides.append(Override(path=path, wanted=wanted, value=value, layer=", ".join(above)))
    return tuple(overrides)


def _record(
    over: Mapping[str, Any], under: Mapping[str, Any], name: str, prefix: Path, origins: dict[Path, str]
) -> None:
    """Note in ``origins`` what laying ``over`` on ``under`` sets, and forget what it replaces."""
    for key, value in over.items():
        path = (*prefix, key)
        below = under.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            if value:
                origins.pop(path, None)  # an empty map gains its first keys
            _record(value, below, name, path, origins)
            continue
        for known in [known for known in origins if known[: len(path)] == path]:
            del origins[known]
        origins |= {leaf: name for leaf, _ in leaves({key: value}, prefix)}
