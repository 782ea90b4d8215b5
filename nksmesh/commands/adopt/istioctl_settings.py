"""What istioctl was told, and what its gateways are now, as values of the releases that they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nksmesh.domain.adoption.former_states import FormerStates
from nksmesh.domain.adoption.istio_operator import CarriedOver, Target, carry_over
from nksmesh.domain.adoption.takeover import COMPONENT_LABEL, GATEWAY_COMPONENTS, selector_values, service_values
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.known_keys import known_tree
from nksmesh.domain.charts.releases import GATEWAY
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.owners import ISTIO_OPERATOR
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.plan.preserved_values import flat_defaults, kept_layer, pinned, pins_of
from nksmesh.domain.values.layers import Layer, compose, dotted, merge
from nksmesh.engine.pipeline import fetch_charts
from nksmesh.engine.ports import Charts, Objects
from nksmesh.engine.request import MeshRequest

_UNTOLD: Final = (
    "no IstioOperator was found: istioctl's settings other than its profile are "
    "unknown and are not carried over; check the changes of the objects"
)


@dataclass(frozen=True, kw_only=True)
class FormerValues:
    """The values that keep a mesh what istioctl made it.

    Attributes:
        layers: For each release's name, its layers.
        kept: What is kept of the gateways as they are in the cluster: keys by release.
        carried: What istioctl was told and is carried over: keys by release.
        left: What it was told and is not, with the reason.
    """

    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict, repr=False)
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    carried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


async def former_values(
    request: MeshRequest,
    settings: Recorded,
    gateways: Sequence[Manifest],
    states: FormerStates,
    objects: Objects,
    charts: Charts,
    listener: Listener,
) -> FormerValues:
    """Work out which values keep a mesh what istioctl made it: its settings, and what its gateways' addresses hang on.

    An environment says all of that itself: then what istioctl was told otherwise is named, and nothing is kept.

    Args:
        gateways: The gateways' Deployments.

    Raises:
        CheckError: A gateway cannot be what it is.
        ChartError: A chart cannot be had.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    # What the user says now lies over all of this; a profile as an option would set the gateways aside that are there.
    bare = replace(request.options, values_files=(), sets=(), profile="")
    mesh = resolve(bare, request.catalog, request.environment, settings).mesh
    targets = _targets(mesh, await fetch_charts(request, mesh, charts, listener), gateways)
    carried, said_by = _carried(states, targets, mesh)
    warnings = [*([] if states.own else [_UNTOLD]), *_about(states)]
    keys = {name: _keys(values) for name, values in carried.values.items()}
    if request.environment is not None:
        why = f"environment {request.environment.name} sets another value, which is used"
        others = {f"{name}: {key}": why for name, some in keys.items() for key in some}
        return FormerValues(left={**carried.left, **others}, warnings=tuple(warnings))
    layers = {name: kept_layer(said_by[name], values) for name, values in carried.values.items()}
    kept = {}
    named = {str(gateway["metadata"]["name"]): gateway for gateway in gateways}
    under = {name: merge(targets[name].under, carried.values.get(name, {})) for name in named}
    labels = {name: selector_values(gateway, name, under[name]) for name, gateway in named.items()}
    refuse_failures(_check_selectors(gateway for name, gateway in named.items() if labels[name] is None))
    for name, gateway in named.items():
        service = await objects.get(ObjectRef("v1", "Service", name, str(gateway["metadata"]["namespace"])))
        values = {**(labels[name] or {}), **(service_values(service, under[name]) if service else {})}
        if values:
            layers[name] = (*layers.get(name, ()), *kept_layer(f"gateway {name} as istioctl installed it", values))
            kept[name] = _keys(values)
    pins = (pinned(name, values, key) for name, values in carried.values.items() for key in pins_of(values))
    return FormerValues(layers=layers, kept=kept, carried=keys, left=carried.left, warnings=(*warnings, *pins))


def _carried(states: FormerStates, targets: Mapping[str, Target], mesh: Mesh) -> tuple[CarriedOver, dict[str, str]]:
    """Carry every IstioOperator's settings over to the releases of what it owns.

    Returns:
        What becomes of the settings, and for each release's name the IstioOperator that its values come from.
    """
    if states.own is None:
        return CarriedOver(), {}
    others = {key for _, keys in states.beside for key in keys}
    own = [target for target in targets.values() if target.release.key not in others]
    found = carry_over(states.own.get("spec") or {}, own, hub=mesh.hub, version=mesh.version)
    values, left = dict(found.values), dict(found.left)
    said_by = dict.fromkeys(values, _named(states.own))
    for state, keys in states.beside:
        seen = [
            *(target for target in targets.values() if target.release.key in keys),
            *(
                replace(target, owner=_named(states.own), under=merge(target.under, found.values.get(name, {})))
                for name, target in targets.items()
                if target.release.component != GATEWAY.name
            ),
        ]
        more = carry_over(state.get("spec") or {}, seen, hub=mesh.hub, version=mesh.version)
        values |= more.values
        left |= {f"{_named(state)}: {path}": why for path, why in more.left.items()}
        said_by |= dict.fromkeys(more.values, _named(state))
    for state in states.idle:
        left[_named(state)] = "no istiod or gateway here is labelled as belonging to it: nothing is carried over"
    return CarriedOver(values=values, left=left), said_by


def _about(states: FormerStates) -> list[str]:
    """Say what could not be known of the IstioOperators."""
    words = [
        f"gateway {namespace}/{name}: its IstioOperator {state} no longer exists: "
        "istioctl's settings for it are unknown; check the changes of its objects"
        for (namespace, name), state in states.unseen.items()
    ]
    if states.own is not None and states.guessed:
        name, many = states.own["metadata"]["name"], 1 + len(states.beside) + len(states.idle)
        words.insert(0, f"there are {many} IstioOperators; {name} is used as the latest one that istioctl installed")
    return words


def _named(state: Manifest) -> str:
    return f"{ISTIO_OPERATOR} {state['metadata']['name']}"


def _targets(mesh: Mesh, charts: Mapping[str, Chart], gateways: Iterable[Manifest]) -> dict[str, Target]:
    sides = {
        (str(gateway["metadata"]["namespace"]), str(gateway["metadata"]["name"])): side
        for gateway in gateways
        if (side := GATEWAY_COMPONENTS.get(gateway["metadata"]["labels"][COMPONENT_LABEL]))
    }
    return {
        release.name: Target(
            release=release,
            known=known_tree(charts[release.component]),
            under=merge(flat_defaults(charts[release.component].defaults), compose(mesh.layers[release.name]).values),
            side=sides.get(release.key, ""),
            defaults=flat_defaults(charts[release.component].defaults),
        )
        for release in mesh.releases
    }


def _check_selectors(gateways: Iterable[Manifest]) -> tuple[Finding, ...]:
    """Judge gateways that select their pods by labels which the chart cannot select by: a failure each."""
    places = [f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}" for gateway in gateways]
    return tuple(
        Finding(
            id="adopt.other-selector",
            message=f"Deployment {place} selects its pods by labels that the gateway chart "
            "does not set: the pods have no labels app and istio, or the selector uses "
            "expressions",
            hint="Install a second gateway with the labels app and istio through istioctl, move "
            "traffic to it, then adopt.",
        )
        for place in places
    )


def _keys(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dotted(path) for path, _, _ in compose(kept_layer("values", values)).leaves())
