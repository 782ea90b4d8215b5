"""Which injector serves a gateway's pods, and which istiod a validator calls: found in the renders, before a write.

A namespace's labels decide before a pod's: ``istio-injection=enabled`` means the default revision, ``istio.io/rev``
names one. Without either the pod's own ``istio.io/rev`` counts, and without that the default. An injector serves the
Istio revision in its label ``istio.io/rev``, a revision tag's the one in ``istio.io/tag`` (istio-facts 5 and 7).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.charts.releases import BASE
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.mesh.revisions import DEFAULT_TAG, INJECTION_LABEL, REVISION_LABEL, TAG_LABEL
from nksmesh.domain.plan.plan import ReleaseChange

_INJECTOR: Final = "MutatingWebhookConfiguration"
_VALIDATOR: Final = "ValidatingWebhookConfiguration"


@dataclass(frozen=True, kw_only=True)
class Surrounding:
    """What the cluster has beside a mesh's renders.

    Attributes:
        injectors: The MutatingWebhookConfigurations with a label ``istio.io/rev``.
        services: The (namespace, name) of the Services in the mesh's namespaces.
        namespaces: The labels of the mesh's namespaces, by name.
    """

    injectors: Collection[Manifest] = ()
    services: Collection[tuple[str, str]] = ()
    namespaces: Mapping[str, Mapping[str, str]]


def check_injection(changes: Iterable[ReleaseChange], around: Surrounding) -> tuple[Finding, ...]:
    """Find gateways that no injector serves, and a validator that calls no istiod.

    Args:
        around: What the cluster has beside them.

    Returns:
        A failure for each such gateway: its pods would keep the image ``auto`` for ever. A warning for the validator,
        which then never checks an Istio object.
    """
    some = tuple(changes)
    manifests = (*around.injectors, *(manifest for change in some for manifest in change.manifests))
    served = {_served_by(manifest) for manifest in manifests if manifest.get("kind", _INJECTOR) == _INJECTOR}
    findings = [
        finding
        for change in some
        if served and change.release.kind.injected  # an istiod without any injector is served by another cluster's
        for finding in _unserved(change, served, around)
    ]
    services = {
        *around.services,
        *((ref.namespace, ref.name) for change in some for ref in _services(change)),
    }
    return (*findings, *(finding for change in some for finding in _calls_nobody(change, services)))


def _served_by(injector: Manifest) -> str:
    labels = injector["metadata"].get("labels") or {}
    return str(labels.get(TAG_LABEL) or labels.get(REVISION_LABEL) or "")


def _unserved(change: ReleaseChange, served: Collection[str], around: Surrounding) -> Iterable[Finding]:
    name = change.release.name
    for manifest in change.manifests:
        if manifest.get("kind") not in ROLLOUT_KINDS:
            continue
        namespace = ref_of(manifest, change.release.namespace).namespace
        labels = (pod_template(manifest).get("metadata") or {}).get("labels") or {}
        wanted = _wanted(labels, around.namespaces.get(namespace) or {})
        if wanted in served:
            continue
        there = ", ".join(sorted(revision for revision in served if revision)) or "none"
        yield Finding(
            id="injection.no-injector",
            subject=name,
            message=f"gateway {name} would get no proxy: no injector serves Istio revision {wanted} (served: {there})",
            hint=_advice(name, wanted, served),
        )


def _wanted(labels: Mapping[str, Any], namespace: Mapping[str, str]) -> str:
    if namespace.get(INJECTION_LABEL) == "enabled":
        return DEFAULT_TAG
    return str(namespace.get(REVISION_LABEL) or labels.get(REVISION_LABEL) or DEFAULT_TAG)


def _advice(name: str, wanted: str, served: Collection[str]) -> str:
    revision = next((revision for revision in sorted(served) if revision and revision != DEFAULT_TAG), "")
    if wanted == DEFAULT_TAG and revision:
        return (
            f"Set the gateway's revision to istiod's: --set {name}:revision={revision}. Or "
            "make it the default one: --set 'istiod:revisionTags={default}'"
        )
    return f"Set an Istio revision or tag that istiod has: --set {name}:revision=REVISION. Or leave it out."


def _services(change: ReleaseChange) -> Iterable[ObjectRef]:
    services = (manifest for manifest in change.manifests if manifest.get("kind") == "Service")
    return (ref_of(service, change.release.namespace) for service in services)


def _calls_nobody(change: ReleaseChange, services: Collection[tuple[str, str]]) -> Iterable[Finding]:
    """Find the webhooks of base's validator that call a Service which nobody has or makes."""
    for validator in change.manifests:
        if change.release.component != BASE.name or validator.get("kind") != _VALIDATOR:
            continue
        for webhook in validator.get("webhooks") or ():
            called = (webhook.get("clientConfig") or {}).get("service") or {}
            key = (str(called.get("namespace") or ""), str(called.get("name") or ""))
            if called and key not in services:
                yield Finding(
                    id="injection.validator-without-service",
                    level=Level.WARNING,
                    subject=change.release.name,
                    message=f"{validator['metadata']['name']} calls Service {key[1]} in {key[0]}, which "
                    "does not exist: Istio objects will not be validated",
                    hint="Set defaultRevision of base to istiod's revision: --set base:defaultRevision=REVISION",
                )
                return
