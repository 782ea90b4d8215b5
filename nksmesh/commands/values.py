"""``nksmesh values show``: which layer set which key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nksmesh.domain.charts.releases import COMPONENTS, Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.plan.diff import masked_value
from nksmesh.domain.values.layers import Composed, Path, compose, dotted, undotted
from nksmesh.engine.pipeline import resolve_mesh
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest


@dataclass(frozen=True, kw_only=True)
class ReleaseValues:
    """The values of one release.

    Attributes:
        layers: Its layers' names, weakest first.
        prefix: The key asked for; empty is every one.
    """

    release: Release
    layers: tuple[str, ...]
    composed: Composed = field(repr=False)
    prefix: Path = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: each key with its layer, without secrets."""
        return {
            "release": self.release.name,
            "component": self.release.component,
            "layers": self.layers,
            "keys": [
                {"key": dotted(path), "value": masked_value(value, path[-1]), "layer": layer}
                for path, value, layer in self.composed.leaves(self.prefix)
            ],
        }


@dataclass(frozen=True, kw_only=True)
class ValuesShown:
    """The values of one release, or of every gateway.

    Attributes:
        notes: How the mesh was resolved, a sentence each.
    """

    releases: tuple[ReleaseValues, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValuesQuestion:
    """What is to be shown.

    Attributes:
        target: A component, or a release's name.
        key: The key to show, as ``--set`` writes it, or empty for all.
    """

    target: str
    request: MeshRequest
    key: str = ""


async def show_values(question: ValuesQuestion, cluster: Cluster | None) -> ValuesShown:
    """Show the values that releases get above their charts' defaults, and which layer set each.

    Args:
        cluster: Where what was not said is as installed; None asks no cluster.

    Raises:
        ConfigError: Something named is not there, or no layer sets the key.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    resolved = (await resolve_mesh(question.request, cluster, to_write=False)).resolved
    mesh = resolved.mesh
    releases = [release for release in mesh.releases if question.target in {release.component, release.name}]
    if not releases:
        known = list(dict.fromkeys([*COMPONENTS, *(release.name for release in mesh.releases)]))
        raise ConfigError(
            f"there is no component or release {question.target!r}",
            hint=perhaps(question.target, known, "components and releases"),
        )
    prefix = undotted(question.key)
    shown = tuple(
        ReleaseValues(
            release=release,
            layers=tuple(layer.name for layer in mesh.layers[release.name]),
            composed=compose(mesh.layers[release.name]),
            prefix=prefix,
        )
        for release in releases
    )
    if prefix and not any(values.composed.leaves(prefix) for values in shown):
        set_keys = {dotted(path) for values in shown for path in values.composed.origins}
        raise ConfigError(
            f"no layer sets {question.key} for {question.target}: the chart's default applies",
            hint=perhaps(question.key, sorted(set_keys), "keys that are set"),
        )
    return ValuesShown(releases=shown, notes=resolved.notes)
