"""Rules about what is in the cluster already: webhooks, what earlier meshes left, and namespaces with injection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.rule import Rule
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import called_services
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL, injected_by, served_by

_ENFORCED: Final = "pod-security.kubernetes.io/enforce"
_REFUSING: Final = frozenset({"baseline", "restricted"})
"""The Pod Security levels that refuse the capability NET_ADMIN, which istio-init needs."""

_AMBIENT: Final = ("istio.io/dataplane-mode", "ambient")
_CNI_NODE: Final = "istio-cni-node"
"""The DaemonSet of the cni chart, whoever installed it."""

_SETTINGS: Final = frozenset({"enabled", "disabled"})
_MOST_NAMES: Final = 5
_NO_SERVICE: Final = ("", "")
"""What a webhook calls that has a URL: an istiod outside of the cluster."""


def _dead_webhooks(facts: ClusterFacts) -> Iterator[Finding]:
    for webhook in facts.webhooks or ():
        missing = sorted(called_services(webhook) - (facts.services or frozenset()) - {_NO_SERVICE})
        if not missing:
            continue
        name, kind = webhook["metadata"]["name"], webhook.get("kind", "webhook configuration")
        refuses = any(entry.get("failurePolicy") == "Fail" for entry in webhook.get("webhooks") or ())
        what = "the API server rejects every object that this webhook matches" if refuses else "it does nothing"
        yield Finding(
            id="mesh.dead-webhook",
            level=Level.FAILURE if refuses else Level.WARNING,
            subject=name,
            message=f"{kind} {name} calls Service {'/'.join(missing[0])}, which does not exist: {what}",
            hint=f"If no mesh needs it, remove it: kubectl delete {str(kind).lower()} {name}.",
        )


def _left_crds(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.left_crds:
        yield Finding(
            id="mesh.left-crds",
            level=Level.WARNING,
            message=f"{counted(len(facts.left_crds), 'CRD')} of Istio and no mesh: an earlier one left them",
            hint="An install goes on with them. Run nksmesh uninstall --purge to remove them with all their objects.",
        )


def _pod_security(facts: ClusterFacts) -> Iterator[Finding]:
    planned = any(change.release.component == "cni" for change in (facts.changes or {}).values())
    if planned or any(found["metadata"]["name"] == _CNI_NODE for found in facts.daemon_sets or ()):
        return
    refused = [
        name for name, labels in _labels(facts) if labels.get(_ENFORCED) in _REFUSING and _injected(labels, facts.mesh)
    ]
    if refused:
        yield Finding(
            id="namespaces.pod-security",
            message=f"Pod Security refuses injected pods in {first_few(refused, _MOST_NAMES)}: their init container "
            "needs NET_ADMIN",
            hint="Add the component cni (components: [cni] in mesh.yaml), or label them "
            f"{_ENFORCED}=privileged: kubectl label namespace {refused[0]} --overwrite {_ENFORCED}=privileged.",
        )


def _injected(labels: Mapping[str, str], mesh: Mesh | None) -> bool:
    """Tell whether a namespace's labels have the mesh inject its pods; ambient's pods get no init container."""
    key, ambient = _AMBIENT
    return mesh is not None and labels.get(key) != ambient and injected_by(mesh, labels)


def _injection_labels(facts: ClusterFacts) -> Iterator[Finding]:
    served = _served(facts)
    for name, labels in _labels(facts):
        setting, revision = labels.get(INJECTION_LABEL), labels.get(REVISION_LABEL)
        if setting is not None and setting not in _SETTINGS:
            problem = f"{INJECTION_LABEL}={setting} injects nothing"
            cure = f"{INJECTION_LABEL}=enabled"
        elif setting is not None and revision:
            problem = f"{INJECTION_LABEL}={setting} decides, and {REVISION_LABEL}={revision} is ignored"
            cure = f"{INJECTION_LABEL}- {REVISION_LABEL}={revision}"
        elif revision and revision not in served and setting is None:
            there = ", ".join(sorted(served)) or "none"
            problem = f"no istiod serves {REVISION_LABEL}={revision} (there are: {there})"
            cure = f"{REVISION_LABEL}={min(served)}" if served else f"{REVISION_LABEL}-"
        else:
            continue
        yield Finding(
            id="namespaces.injection-labels",
            level=Level.WARNING,
            subject=name,
            message=f"namespace {name}: {problem}",
            hint=f"Run kubectl label namespace {name} --overwrite {cure}.",
        )


def _served(facts: ClusterFacts) -> frozenset[str]:
    """Name the Istio revisions and tags that an injector serves, or will."""
    planned = [manifest for change in (facts.changes or {}).values() for manifest in change.manifests]
    injectors = [
        manifest
        for manifest in (*(facts.webhooks or ()), *planned)
        if manifest.get("kind") == "MutatingWebhookConfiguration"
    ]
    return frozenset(map(served_by, injectors))


def _labels(facts: ClusterFacts) -> Iterator[tuple[str, Mapping[str, str]]]:
    for namespace in facts.namespaces or ():
        metadata = namespace["metadata"]
        yield str(metadata["name"]), metadata.get("labels") or {}


INJECTION_LABELS: Final = Rule(
    id="namespaces.injection-labels",
    passed="the injection labels take effect as written",
    judge=_injection_labels,
    needs=("namespaces", "webhooks"),
)

RULES: Final = (
    Rule(
        id="mesh.dead-webhook",
        passed="every webhook of Istio calls a Service that exists",
        judge=_dead_webhooks,
        needs=("webhooks", "services"),
    ),
    Rule(id="mesh.left-crds", passed="no earlier mesh left CRDs", judge=_left_crds, needs=("left_crds",)),
    Rule(
        id="namespaces.pod-security",
        passed="Pod Security lets injected pods start",
        judge=_pod_security,
        needs=("namespaces", "changes", "mesh", "daemon_sets"),
    ),
    INJECTION_LABELS,
)
