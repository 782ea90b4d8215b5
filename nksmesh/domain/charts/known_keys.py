"""Keys that a chart does not know: base and istiod have no schema, so Helm passes a misspelt key over in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import nearest
from nksmesh.domain.values.layers import Layer, Path, dotted, merge

NESTS: Final = ("defaults", "_internal_defaults_do_not_set")
"""Where the charts from 1.21, and from 1.24, keep their defaults; a user writes the keys at the top all the same."""

_OPEN: Final = frozenset({"meshConfig", "env", "nodeSelector", "limits", "requests"})
_OPEN_ENDINGS: Final = ("annotations", "labels", "selector")

_RESOURCES: Final[Mapping[str, Any]] = {"limits": {}, "requests": {}, "claims": []}

_UNLISTED: Final[Mapping[str, tuple[str, ...]]] = {
    "base": ("base.validateGateway", "base.validationCABundle", "base.validationFailurePolicy", "revision"),
    "istiod": (
        "base.validationCABundle",
        "base.validationFailurePolicy",
        "base.validationURL",
        "global.agentgateway",
        "global.configValidation",
        "global.ipFamilies",
        "global.ipFamilyPolicy",
        "global.platform",
        "global.proxy.capNetBindService",
        "global.proxy.holdApplicationUntilProxyStarts",
        "global.proxy.lifecycle",
        "global.proxy.variant",
        "global.tracer",
        "global.trustBundleName",
        "global.trustDomain",
        "pdb",
        "pilot.affinity",
        "pilot.enabled",
        "pilot.tolerations",
        "trafficDistribution",
    ),
    "gateway": (
        "ownerName",
        "service.allocateLoadBalancerNodePorts",
        "service.internalTrafficPolicy",
        "service.loadBalancerClass",
    ),
}
"""Keys that templates of 1.19 to 1.28 read though no values.yaml lists them."""

_UNLISTED_NESTED: Final = ("profile", "compatibilityVersion", "platform", "global.profile")
"""The same, for every chart whose defaults are nested."""


def unknown_keys(
    component: str, layers: Iterable[Layer], defaults: Mapping[str, Any], *, former: Chart | None = None
) -> tuple[Finding, ...]:
    """Find the keys in a user's layers that the chart does not have.

    Open maps never warn: those whose default is empty or null, meshConfig, environment variables, labels,
    annotations. Our own layers never do either.

    Args:
        component: Whose chart it is.
        layers: The release's layers.
        defaults: The chart's values.yaml.
        former: The chart of the version that is installed, where it is another one.

    Returns:
        A warning for each key, with the nearest known one.
    """
    known = known_tree(component, defaults)
    before = known_tree(component, former.defaults) if former else {}
    return tuple(
        Finding(
            level=Level.WARNING,
            subject=layer.name,
            message=f"{layer.name}: the chart {component} has no key {dotted(path)}"
            + (f" any more: {former.ref.version} had it" if former and _has(before, path) else ""),
            hint=_hint(path, known),
        )
        for layer in layers
        if not layer.ours
        for path in _unknown(layer.values, known, ())
    )


def known_tree(component: str, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lay out a chart's keys where a user writes them: at the top, however deep the chart keeps its defaults."""
    known: Mapping[str, Any] = {key: value for key, value in defaults.items() if key not in NESTS}
    nested = [nest for nest in NESTS if isinstance(defaults.get(nest), Mapping)]
    for nest in nested:
        known = merge(known, defaults[nest])
    if component == "istiod" and NESTS[1] in nested:
        # From 1.24 istiod's own settings stand at the top, and pilot: is merged into the top.
        known = merge({"pilot": {key: value for key, value in known.items() if key != "global"}}, known)
    unlisted = [*_UNLISTED.get(component, ()), *(_UNLISTED_NESTED if nested else ())]
    for path in unlisted:
        known = merge(_tree(tuple(path.split("."))), known)
    return known


def has_key(known: Mapping[str, Any], path: Path) -> bool:
    """Tell whether a chart has a key, of keys as ``known_tree`` lays them out; whatever is in an open map it has."""
    return not any(_unknown(_tree(path), known, ()))


def _tree(path: Path) -> dict[str, Any]:
    """Nest a key; its own value is null, for no values.yaml tells whether it is a map, a list or a plain value."""
    tree: Any = None
    for key in reversed(path):
        tree = {key: tree}
    return dict(tree)


def _unknown(values: Mapping[str, Any], known: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for key, value in values.items():
        path = (*prefix, key)
        if key not in known:
            yield path
        elif isinstance(value, Mapping) and isinstance(known[key], Mapping) and not _is_open(key, known[key]):
            yield from _unknown(value, {**_RESOURCES, **known[key]} if key == "resources" else known[key], path)


def _has(known: Mapping[str, Any], path: Path) -> bool:
    inner: Any = known
    for key in path:
        if not isinstance(inner, Mapping) or key not in inner:
            return False
        inner = inner[key]
    return True


def _is_open(key: str, default: Mapping[str, Any]) -> bool:
    return not default or key in _OPEN or key.lower().endswith(_OPEN_ENDINGS)


def _hint(path: Path, known: Mapping[str, Any]) -> str:
    if path[0] in NESTS:
        return f"Write the keys below {path[0]} at the top: the charts keep that one to themselves."
    siblings: Any = known
    for key in path[:-1]:
        siblings = siblings[key]
    if near := nearest(path[-1], siblings):
        return f"Did you mean {dotted((*path[:-1], near))}?"
    if elsewhere := sorted(_paths_to(path[-1], known, ()), key=lambda found: (len(found), found)):
        return f"Did you mean {dotted(elsewhere[0])}?"
    return "Look it up in the chart: helm show values."


def _paths_to(key: str, known: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for name, inner in known.items():
        if name == key:
            yield (*prefix, name)
        elif isinstance(inner, Mapping):
            yield from _paths_to(key, inner, (*prefix, name))
