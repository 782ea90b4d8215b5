"""What istioctl was told, in the charts' own values: the spec of its IstioOperator, setting by setting.

istioctl passes ``values`` to templates of the charts' own (base, istiod) and to two gateway charts that are not
published, and then patches the rendered objects with each component's ``k8s``. So ``values`` and ``meshConfig`` go over
as they are, where a chart knows the key; what patched istiod or a gateway goes to the value that renders the same. The
IstioOperator that istioctl keeps in the cluster has its whole profile in it: what the charts' defaults and our own
layers say too is no setting of the user's (istio-facts 3: the profiles of 1.19 and 1.20, and what Helm has for them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from nksmesh.domain.adoption.operator_keys import (
    DECIDED,
    ENV_OF_ISTIOD,
    GATEWAY_K8S,
    GATEWAY_VALUES,
    KEPT,
    OF_GLOBAL,
    PILOT,
    PROFILES,
    SIDES,
    VARIANTS,
    settings_of,
)
from nksmesh.domain.charts.known_keys import has_key
from nksmesh.domain.charts.releases import BASE, GATEWAY, ISTIOD, Release
from nksmesh.domain.values.layers import Layer, Path, compose, dotted, merge, value_at

_NOTHING: Final = "nksmesh has no equivalent"
_PULL_SECRETS: Final = ("values", "global", "imagePullSecrets")
_NOT_PLAIN: Final = "the charts accept only plain values for variables"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A release that settings may go to.

    Attributes:
        known: The keys that its chart has, as ``known_tree`` lays them out.
        under: The chart's defaults with our own layers over them.
        side: For a gateway, the list of the IstioOperator that has it.
        owner: Whose it is, where another IstioOperator owns it: what this one says of it is compared and named only.
        defaults: The chart's defaults alone; read where another IstioOperator owns it, as each has a whole profile.
    """

    release: Release
    known: Mapping[str, Any] = field(repr=False)
    under: Mapping[str, Any] = field(repr=False)
    side: str = ""
    owner: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class CarriedOver:
    """What becomes of an IstioOperator's settings.

    Attributes:
        values: For each release's name, the values that its chart and our layers do not have so.
        left: Each setting that no value stands for, with the reason.
    """

    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    left: Mapping[str, str] = field(default_factory=dict)


_Placed: TypeAlias = tuple[tuple[Target, Path, Any], ...]


def carry_over(spec: Mapping[str, Any], targets: Iterable[Target], *, hub: str, version: str) -> CarriedOver:
    """Sort an IstioOperator's settings into the releases' values.

    None vanishes: it is carried over, or what is there says the same, or it is named with the reason.

    Args:
        spec: The IstioOperator's ``spec``.
        targets: The releases that istioctl's objects become: those that this IstioOperator owns, base and istiod.
        hub: The registry that istiod's image comes from.
    """
    reading = _Reading(targets=tuple(targets), hub=hub, version=version)
    own = [target for target in reading.targets if not target.owner]
    values: dict[str, dict[str, Any]] = {target.release.name: {} for target in own}
    left: dict[str, str] = {}
    for path, value in settings_of(spec):
        if path in PROFILES and PROFILES[path] == value:
            continue
        placed = reading.decided(path, value) if path in DECIDED else reading.places(path, value)
        if isinstance(placed, str):
            left[dotted(path)] = placed
            continue
        for target, to, carried in placed:
            if not target.owner:
                values[target.release.name] = merge(values[target.release.name], _nested(to, carried))
            elif all(_differs(carried, value_at(below, to)) for below in (target.under, target.defaults)):
                left[dotted(path)] = f"{target.owner} owns {target.release.name}, and does not set it"
    beyond = {target.release.name: _beyond(values[target.release.name], target.under) for target in own}
    return CarriedOver(values={name: some for name, some in beyond.items() if some}, left=left)


def pull_secrets_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets that istioctl was told to pull images with: a mesh has them for all its releases."""
    found = value_at(spec, _PULL_SECRETS)
    return tuple(str(secret) for secret in found) if isinstance(found, list) else ()


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Where the settings of one IstioOperator go."""

    targets: tuple[Target, ...]
    hub: str
    version: str

    @property
    def beside(self) -> bool:
        """Whether another IstioOperator owns istiod."""
        return any(target.owner for target in self.targets)

    def decided(self, path: Path, value: Any) -> _Placed | str:
        """Name nothing for what the mesh is resolved from; of an IstioOperator beside istiod's, what it is not."""
        if self.beside and path == _PULL_SECRETS:
            return self._to(self._of(GATEWAY.name), ("imagePullSecrets",), [{"name": name} for name in value or ()])
        if self.beside and path[-1] == "revision" and value not in {"", "default", None}:
            return "nksmesh takes over only meshes without Istio revisions"
        return ()

    def places(self, path: Path, value: Any) -> _Placed | str:
        """Name the values that a setting becomes, none where the mesh has it anyway; or say why there are none."""
        match path:
            case ("hub" | "tag" as key,) | ("values", "global", "hub" | "tag" as key):
                return self._image(key, str(value))
            case ("meshConfig", *_):
                return self._to(self._of(ISTIOD.name), path, value)
            case ("values" | "unvalidatedValues", "gateways", shared, *rest) if shared in SIDES.values():
                gateways = [target for target in self.targets if target.side and SIDES[target.side] == shared]
                return self._of_gateways(gateways, tuple(rest), value, GATEWAY_VALUES)
            case ("values" | "unvalidatedValues", *rest):
                return self._values(tuple(rest), value)
            case ("components", component, *rest):
                return self._of_component(component, tuple(rest), value)
        return _NOTHING

    def _of_component(self, component: str, path: Path, value: Any) -> _Placed | str:
        match path:
            case ("enabled",) if value is (component in {"base", "pilot"}) or (self.beside and value is False):
                return ()
            case ("k8s", *rest) if component == "pilot":
                return self._of_istiod(tuple(rest), value)
            case (name, "k8s" | "label" as part, *rest) if component in SIDES:
                gateways = [
                    target for target in self.targets if target.side == component and target.release.name == name
                ]
                inner = (part, *rest) if part == "label" else tuple(rest)
                if not gateways and not _is_nothing(value):
                    return "the cluster has no such gateway of this IstioOperator"
                return self._of_gateways(gateways, inner, value, GATEWAY_K8S)
        return _NOTHING

    def _image(self, key: str, said: str) -> _Placed | str:
        if said == (self.hub if key == "hub" else self.version):
            return ()
        if key == "hub":
            return f"istiod's image comes from {self.hub}, which is kept"
        variant = said.removeprefix(f"{self.version}-")
        key, said = ("variant", variant) if variant in VARIANTS else ("tag", said)
        return self._to(self._of(ISTIOD.name), ("global", key), said)

    def _values(self, path: Path, value: Any) -> _Placed | str:
        placed = [(target, path, value) for target in self._of(BASE.name, ISTIOD.name) if _takes(target, path, value)]
        if path[0] == "global" and (to := OF_GLOBAL.get("".join(path[1:2]))):
            own = (to, *path[2:])
            placed += [(target, own, value) for target in self._of(GATEWAY.name) if _takes(target, own, value)]
        if placed or _is_nothing(value):
            return tuple(placed)
        return f"no chart of {self.version} has this value"

    def _of_istiod(self, path: Path, value: Any) -> _Placed | str:
        istiod = self._of(ISTIOD.name)
        if path[:2] == ("hpaSpec", "scaleTargetRef") or (path, value) == (("podDisruptionBudget", "minAvailable"), 1):
            return ()  # the chart's own
        match path:
            case ("env", name) if name in ENV_OF_ISTIOD:
                return "the chart sets this variable itself"
            case ("env", name) if isinstance(value, Mapping):
                return _NOT_PLAIN
            case ("env", "PILOT_TRACE_SAMPLING"):  # the chart sets these two from values of their own
                return self._to(istiod, ("pilot", "traceSampling"), _number(value))
            case ("env", "CLUSTER_ID"):
                return self._to(istiod, ("global", "multiCluster", "clusterName"), value)
        return self._to(istiod, _moved(path, PILOT), value)

    def _of_gateways(self, gateways: list[Target], path: Path, value: Any, table: Mapping[Path, Path]) -> _Placed | str:
        if not gateways or path[:1] in KEPT or path[:2] in KEPT:
            return ()
        if path[0] == "env" and isinstance(value, Mapping):
            return _NOT_PLAIN
        return self._to(gateways, _moved(path, table), value)

    def _to(self, targets: list[Target], path: Path, value: Any) -> _Placed | str:
        """Place a setting at a path of the values, where the chart knows it."""
        placed = tuple((target, path, value) for target in targets if path and _takes(target, path, value))
        if placed or _is_nothing(value):
            return placed
        component = targets[0].release.component if targets else ISTIOD.name
        return f"the chart {component} of {self.version} has no value for it"

    def _of(self, *components: str) -> list[Target]:
        return [target for target in self.targets if target.release.component in components]


def _takes(target: Target, path: Path, value: Any) -> bool:
    """Tell whether a chart knows a key, and it is no map of keys where the value is none."""
    a_map = isinstance(value_at(target.known, path), Mapping) and not isinstance(value, Mapping)
    return has_key(target.known, path) and (not a_map or _is_nothing(value))


def _moved(path: Path, table: Mapping[Path, Path]) -> Path:
    """Return where a table has a path, or what it is below of; empty where it is not there."""
    for length in range(len(path), 0, -1):
        if (to := table.get(path[:length])) is not None:
            return (*to, *path[length:])
    return ()


def _nested(path: Path, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _beyond(values: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is so anyway."""
    kept: dict[str, Any] = {}
    for path, value, _ in compose((Layer(name="carried over", values=values),)).leaves():
        if _differs(value, value_at(under, path)):
            kept = merge(kept, _nested(path, value))
    return kept


def _differs(value: Any, below: Any) -> bool:
    return value != below and not (_is_nothing(value) and not below)


def _is_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
