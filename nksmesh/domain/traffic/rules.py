"""What must hold before recipes are applied: a finding each, with the next step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import first_few, nearest
from nksmesh.domain.kube.objects import Manifest, ref_of
from nksmesh.domain.kube.owners import foreign_owner
from nksmesh.domain.kube.workloads import is_injected
from nksmesh.domain.traffic.objects import VERSION_LABEL, VIRTUAL_SERVICE, make_objects
from nksmesh.domain.traffic.parameters import Kind
from nksmesh.domain.traffic.recipes import NAMESPACE, TRAFFIC_OF, Applied, Need
from nksmesh.domain.traffic.surroundings import REGION_LABEL, ZONE_LABEL, Surroundings, labels_of

_ALL_WEIGHTS: Final = 100
_MOST_NAMES: Final = 5
_NOT_HTTP: Final = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis", "udp"})
"""Protocols that routes for HTTP do not see, as port names begin with them, or as ``appProtocol`` says. Of a port with
another name, proxies look at the first bytes
(https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/)."""


def check_place(around: Surroundings, services: Iterable[str]) -> Iterator[Finding]:
    """Judge where recipes are to be applied: a failure where the namespace or the Service is not there, or goes.

    Args:
        services: The names of the namespace's Services.
    """
    if around.namespaced is None:
        message, hint = f"there is no namespace {around.namespace!r}", "Run kubectl get namespaces to list them."
        yield Finding(id="traffic.missing-namespace", message=message, hint=hint, error=ConfigError)
        return
    if around.namespaced["metadata"].get("deletionTimestamp"):
        message = f"namespace {around.namespace} is being deleted, with everything in it"
        hint = "Wait until it is gone, or pass another namespace with -n."
        yield Finding(id="traffic.ending-namespace", message=message, hint=hint, error=ClusterError)
        return
    if around.found is None and around.service != NAMESPACE:
        near = nearest(around.service, services)
        yield Finding(
            id="traffic.unknown-service",
            message=f"there is no Service {around.service!r} in namespace {around.namespace}",
            hint=(f"Did you mean {near!r}? " if near else "")
            + f"Run kubectl get services -n {around.namespace} to list them. Pass another namespace with -n.",
            error=ConfigError,
        )


def check_recipes(around: Surroundings, some: Sequence[Applied]) -> Iterator[Finding]:
    """Judge recipes that are to stand on one subject: a failure for each that would not do what it says."""
    for entry in some:
        if around.service == NAMESPACE and not entry.recipe.of_namespace:
            message = f"recipe {entry.recipe.name} is for one Service, not for a whole namespace"
            hint = "Name the Service in place of '*'."
            yield Finding(id="traffic.not-of-namespace", message=message, hint=hint, error=ConfigError)
        if entry.recipe.objects and around.service != NAMESPACE and not around.subject.selector:
            message = (
                f"{around.subject} selects no pods, so recipe {entry.recipe.name} would be about all of the namespace"
            )
            hint = "Name a Service with a selector, or '*' if you mean all pods of the namespace."
            yield Finding(id="traffic.no-selector", message=message, hint=hint, error=ConfigError)
        yield from _check_weights(entry)
        for need in entry.recipe.needs:
            yield from _NEEDS[need](around, entry)
    yield from _check_clashes(some)
    made = make_objects(around.subject, some)
    yield from made.findings
    for manifest in made.manifests:
        if manifest["kind"] == VIRTUAL_SERVICE:
            yield from check_order(manifest["spec"]["http"])


def check_owners(around: Surroundings, manifests: Iterable[Manifest], *, written: bool) -> Iterator[Finding]:
    """Judge whose the objects are that would be written or removed: a finding for each of another owner.

    Args:
        written: They are to be written by nksmesh; else they are only printed, and what is found are warnings.
    """
    level = Level.FAILURE if written else Level.WARNING
    for manifest in manifests:
        ref = ref_of(manifest)
        live = around.live(ref)
        owner = foreign_owner(live, TRAFFIC_OF) if live is not None else None
        if owner is not None:
            yield Finding(
                id="traffic.foreign-object",
                level=level,
                subject=str(ref),
                message=f"{ref} belongs to {owner}, and nksmesh does not write it",
                hint="Commit the YAML of this command where that owner takes it from.",
                error=ClusterError,
            )


def check_rivals(around: Surroundings, manifests: Iterable[Manifest], *, written: bool) -> Iterator[Finding]:
    """Judge objects of other names that are about the same host: a finding each, where recipes make one of that kind.

    Args:
        written: As ``check_owners`` has it.
    """
    level = Level.FAILURE if written else Level.WARNING
    kinds = {manifest["kind"] for manifest in manifests}
    for rival in around.rivals:
        ref = ref_of(rival)
        if ref.kind not in kinds:
            continue
        yield Finding(
            id="traffic.other-object",
            level=level,
            subject=str(ref),
            message=f"{ref} is about host {around.service}, too, and Istio merges the two in no certain order",
            hint=f"Delete it after you have taken over what it sets: kubectl delete {rival['kind'].lower()} "
            f"{ref.name} -n {ref.namespace}",
            error=ClusterError,
        )


def check_gateways(around: Surroundings, manifests: Iterable[Manifest]) -> Iterator[Finding]:
    """Say that requests of a gateway do not pass the routes of a VirtualService for the sidecars: a warning each."""
    if any(manifest["kind"] == VIRTUAL_SERVICE for manifest in manifests):
        for route, gateway in around.gateway_routes:
            ref = ref_of(route)
            yield Finding(
                id="traffic.gateway-route",
                level=Level.WARNING,
                subject=str(ref),
                message=f"{ref} sends requests of gateway {gateway} to {around.service} itself: the routes of this "
                "recipe hold for calls between pods, and not for these",
                hint=f"Set the same weights, timeouts or faults in {ref}.",
            )


def check_order(routes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the order of a VirtualService's routes: a failure for each that an earlier one leaves no request."""
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            if route.get("match") and all(
                any(_covers(wide, narrow) for wide in earlier.get("match") or [{}]) for narrow in route["match"]
            ):
                yield Finding(
                    id="traffic.swallowed-rule",
                    message=f"the rule for {_spoken(route)} gets no request: the earlier rule for {_spoken(earlier)} "
                    "takes them all",
                    hint="Reset the earlier rule, and apply it again after the other one.",
                    error=ConfigError,
                )
                break


def left_out(around: Surroundings, entry: Applied) -> Iterator[Finding]:
    """Name the versions that a split gives nothing: a note."""
    if any(parameter.kind is Kind.WEIGHTS for parameter in entry.recipe.parameters):
        names = [version.name for version in around.versions if version.name not in entry.versions]
        if names:
            message = f"{first_few(names, _MOST_NAMES)} of {around.service} gets no requests: it has no weight"
            yield Finding(id="traffic.version-left-out", level=Level.NOTE, message=message)


def _check_weights(entry: Applied) -> Iterator[Finding]:
    for parameter in entry.recipe.parameters:
        if parameter.kind is Kind.WEIGHTS:
            total = sum(row["weight"] for row in entry.values[parameter.name])
            if total != _ALL_WEIGHTS:
                message = f"the weights add up to {total}, not to {_ALL_WEIGHTS}"
                hint = f"Example: {parameter.example}"
                yield Finding(id="traffic.weights-sum", message=message, hint=hint, error=ConfigError)


def _check_versions(around: Surroundings, entry: Applied) -> Iterator[Finding]:
    known = {version.name: version for version in around.versions}
    if not known:
        yield Finding(
            id="traffic.no-versions",
            message=f"no pod of {around.subject} has the label {VERSION_LABEL}, so it has no versions to tell apart",
            hint=f"Set the label {VERSION_LABEL} in the pod templates of its workloads, one value for each version.",
        )
        return
    for name, used in entry.versions.items():
        if used and (name not in known or not known[name].ready):
            pods = f"none of its {known[name].pods} pods is ready" if name in known else "no pod has that label"
            yield Finding(
                id="traffic.version-not-ready",
                message=f"version {name} of {around.subject} cannot take requests: {pods}",
                hint=f"The versions with ready pods are "
                f"{', '.join(version.name for version in known.values() if version.ready) or 'none'}.",
            )


def _check_http(around: Surroundings, entry: Applied) -> Iterator[Finding]:
    ports = ((around.found or {}).get("spec") or {}).get("ports") or ()
    spoken = [str(port.get("appProtocol") or port.get("name") or "") for port in ports]
    if ports and all(name.partition("-")[0].lower() in _NOT_HTTP for name in spoken):
        yield Finding(
            id="traffic.not-http",
            message=f"no port of {around.subject} is HTTP to Istio ({', '.join(spoken)}), so recipe "
            f"{entry.recipe.name} has no effect",
            hint="If it is HTTP or gRPC, let the port's name begin with http- or grpc-, or set its appProtocol.",
        )


def _check_proxies(around: Surroundings, entry: Applied) -> Iterator[Finding]:
    if not any(map(is_injected, around.own_pods)):
        yield Finding(
            id="traffic.no-proxy",
            message=f"no pod of {around.subject} has a proxy, so recipe {entry.recipe.name} has no effect",
            hint=f"Run nksmesh inject enable {around.namespace} --restart.",
        )


def _check_localities(around: Surroundings, entry: Applied) -> Iterator[Finding]:
    places = {(labels_of(node).get(REGION_LABEL), labels_of(node).get(ZONE_LABEL)) for node in around.nodes}
    if not any(region for region, _ in places):
        yield Finding(
            id="traffic.no-locality",
            message=f"no node has the label {REGION_LABEL}, so recipe {entry.recipe.name} has no effect",
            hint=f"Label the nodes with {REGION_LABEL} and {ZONE_LABEL}. NKS sets them on nodes of several zones.",
        )


_NEEDS: Final = {
    Need.VERSIONS: _check_versions,
    Need.HTTP: _check_http,
    Need.PROXIES: _check_proxies,
    Need.LOCALITIES: _check_localities,
}


def _check_clashes(some: Sequence[Applied]) -> Iterator[Finding]:
    names = {entry.recipe.name for entry in some}
    for recipe in dict.fromkeys(entry.recipe.name for entry in some):
        clashes = next(entry.recipe.clashes for entry in some if entry.recipe.name == recipe)
        for other, why in clashes.items():
            if other in names:
                message = f"recipes {recipe} and {other} do not go well together: {why}"
                hint = f"Reset one of them: nksmesh traffic reset SERVICE {other}"
                yield Finding(id="traffic.recipes-clash", level=Level.WARNING, message=message, hint=hint)


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Tell whether whatever the narrow match takes, the wide one takes too; of regexes only what is certain."""
    for field, wanted in wide.items():
        found = narrow.get(field)
        if field == "headers":
            if not isinstance(found, Mapping) or not all(
                name in found and _includes(text, found[name]) for name, text in wanted.items()
            ):
                return False
        elif found != wanted:
            return False
    return True


def _includes(wide: Mapping[str, str], narrow: Mapping[str, str]) -> bool:
    if wide == narrow or wide.get("regex") in {".*", ".+"} or wide.get("prefix") == "":
        return True
    if "prefix" in wide:
        begun = narrow.get("exact", narrow.get("prefix"))
        return begun is not None and begun.startswith(wide["prefix"])
    if "regex" in wide and "exact" in narrow:
        try:
            return re.fullmatch(wide["regex"], narrow["exact"]) is not None
        except re.error:  # RE2 has what Python has not
            return False
    return False


def _spoken(route: Mapping[str, Any]) -> str:
    matches = route.get("match") or ()
    texts = [
        f"{name} {kind} {value!r}"
        for match in matches
        for name, text in (match.get("headers") or {}).items()
        for kind, value in text.items()
    ]
    return " or ".join(texts) or "all requests"
