"""The objects that recipes make: one VirtualService and one DestinationRule a Service, whatever is applied to it.

Istio merges two VirtualServices of one host in an order that nobody sees, and of two DestinationRules it takes one
traffic policy (https://istio.io/latest/docs/ops/best-practices/traffic-management/); of two Telemetry objects for the
same pods it takes one, too. So all recipes of a Service are composed anew each time, and what is of one kind and name
becomes one object.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.traffic.parameters import Kind, subset_of
from nksmesh.domain.traffic.placeholders import fill
from nksmesh.domain.traffic.recipes import NAMESPACE, RECIPES, TRAFFIC_OF, Applied, annotation_of

VIRTUAL_SERVICE: Final = "VirtualService"
DESTINATION_RULE: Final = "DestinationRule"

API_VERSIONS: Final[Mapping[str, str]] = {
    VIRTUAL_SERVICE: "networking.istio.io/v1beta1",
    DESTINATION_RULE: "networking.istio.io/v1beta1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "PeerAuthentication": "security.istio.io/v1beta1",
    "RequestAuthentication": "security.istio.io/v1beta1",
    "AuthorizationPolicy": "security.istio.io/v1beta1",
    "Telemetry": "telemetry.istio.io/v1alpha1",
}
"""Every kind that a recipe makes, in the API version that all charts from 1.19 to 1.30 serve."""

VERSION_LABEL: Final = "version"
"""The label of pods that subsets select, as in Istio's documents and samples."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What recipes are applied to.

    Attributes:
        service: The Service's name; ``*`` for all pods of the namespace.
        selector: The labels by which the Service selects its pods; empty for the namespace.
        versions: The versions of its pods.
    """

    service: str
    namespace: str
    selector: Mapping[str, str]
    versions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The value of TRAFFIC_OF."""
        return "" if self.service == NAMESPACE else self.service

    @property
    def words(self) -> Mapping[str, Any]:
        """What placeholders stand for that need no parameter; a namespace has no selector."""
        own = {"service": self.service, "namespace": self.namespace}
        return {**own, "selector": dict(self.selector)} if self.selector else own

    def __str__(self) -> str:
        return (
            f"namespace {self.namespace}" if self.service == NAMESPACE else f"Service {self.namespace}/{self.service}"
        )


@dataclass(frozen=True, kw_only=True)
class Made:
    """What some recipes make together.

    Attributes:
        manifests: The objects, as they would stand in a user's repository.
        findings: A failure where two recipes set one field to different values.
    """

    manifests: tuple[Manifest, ...] = ()
    findings: tuple[Finding, ...] = ()


class _DisagreementError(Exception):
    """Two recipes set one field to different values; the field's path is its text."""


def make_objects(subject: Subject, some: Sequence[Applied]) -> Made:
    """Compose the objects of all recipes that are applied to one subject."""
    specs: dict[tuple[str, str], Any] = {}
    makers: dict[tuple[str, str], list[Applied]] = {}
    try:
        for entry in some:
            for key, spec in _parts(subject, entry):
                specs[key] = _merged(specs.get(key, {}), spec)
                makers.setdefault(key, []).append(entry)
        if routed := makers.get((VIRTUAL_SERVICE, subject.service), []):
            specs[VIRTUAL_SERVICE, subject.service] = _virtual_service(subject, routed)
    except _DisagreementError as problem:
        return Made(findings=(_disagreement(str(problem), subject),))
    return Made(
        manifests=tuple(_object(subject, kind, name, spec, makers[kind, name]) for (kind, name), spec in specs.items())
    )


def _parts(subject: Subject, entry: Applied) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield what a recipe adds to each object, by (kind, name); that of a VirtualService comes from all together."""
    recipe, values = entry.recipe, _values(subject, entry)
    if recipe.routes:
        yield (VIRTUAL_SERVICE, subject.service), {}
    if recipe.destination_rule or entry.versions:
        own = {"host": subject.service, **(fill(recipe.destination_rule, values) or {})}
        yield (DESTINATION_RULE, subject.service), {**own, "subsets": _subsets(subject, entry)}
    for template in recipe.objects:
        kind = str(template["kind"])
        apart = [str(entry.values[name]).lower() for name in recipe.told_apart_by]
        words = (subject.label or "namespace", template.get("name", recipe.name), *apart)
        if any(entry.values.get(name) == value for name, value in (template.get("unless") or {}).items()):
            continue
        yield (kind, _NOT_IN_NAMES.sub("-", "-".join(words))), fill(template["spec"], values) or {}


def _subsets(subject: Subject, entry: Applied) -> dict[str, Any]:
    """Return a subset for each version that has pods, so that no later split takes away one that is still in use."""
    names = (*entry.versions, *subject.versions) if entry.versions else ()
    return {name: {"name": subset_of(name), "labels": {VERSION_LABEL: name}} for name in names}


def _virtual_service(subject: Subject, makers: Sequence[Applied]) -> dict[str, Any]:
    first: list[Any] = []
    last: dict[str, Any] = {}
    every: dict[str, Any] = {}
    for entry in makers:
        values = _values(subject, entry)
        first += [route] if (route := fill(entry.recipe.first_route, values)) else []
        last = _merged(last, fill(entry.recipe.last_route, values) or {})
        every = _merged(every, fill(entry.recipe.every_route, values) or {})
    last.setdefault("route", [{"destination": {"host": subject.service}}])
    # Copies: YAML would write an anchor for what is shared.
    routes = [_merged(route, copy.deepcopy(every)) for route in (*first, last)]
    return {"hosts": [subject.service], "http": routes}


def _merged(left: Any, right: Any, path: str = "") -> Any:
    """Lay one part of an object over another: maps are merged, and anything else must be equal.

    Raises:
        _DisagreementError: The two set a field to different values.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        merged = dict(left)
        for key, value in right.items():
            inner = f"{path}.{key}" if path else key
            merged[key] = _merged(left[key], value, inner) if key in left else value
        return merged
    if left != right:
        raise _DisagreementError(path)
    return left


def _values(subject: Subject, entry: Applied) -> dict[str, Any]:
    """Return what a recipe's placeholders stand for: a version is its subset's name there."""
    versions = {parameter.name for parameter in entry.recipe.parameters if parameter.kind is Kind.VERSION}
    own = {name: subset_of(value) if name in versions else value for name, value in entry.values.items()}
    return {**subject.words, **own}


def _object(subject: Subject, kind: str, name: str, spec: Mapping[str, Any], makers: Sequence[Applied]) -> Manifest:
    if "subsets" in spec:
        subsets = [subset for _, subset in sorted(spec["subsets"].items())]
        rest = {key: value for key, value in spec.items() if key != "subsets"}
        spec = {**rest, **({"subsets": subsets} if subsets else {})}
    return {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": subject.namespace,
            "labels": {TRAFFIC_OF: subject.label},
            "annotations": {RECIPES: annotation_of(makers)},
        },
        "spec": spec,
    }


def _disagreement(path: str, subject: Subject) -> Finding:
    where = f"{subject.service} -n {subject.namespace}"
    return Finding(
        id="traffic.recipes-disagree",
        message=f"two recipes of {subject} set {path} to different values, and there is one such field",
        hint=f"Give both the same value, or reset one of them. Run nksmesh traffic show {where} to list them.",
        error=ConfigError,
    )
