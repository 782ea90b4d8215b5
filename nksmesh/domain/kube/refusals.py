"""Pods that the API server refuses to create: what their controllers say, what it means, what to do about it.

A ReplicaSet says it in a condition, a DaemonSet and a StatefulSet in events alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from nksmesh.domain.kube.diagnosis import Cause, Trouble
from nksmesh.domain.kube.objects import Manifest, lives
from nksmesh.domain.kube.readiness import conditions_of, wanted_pods

FAILED_CREATE: Final = "FailedCreate"
"""The reason of events and conditions of a controller whose pods the API server refuses."""

_NO_SCOPE: Final = (
    "Create a ResourceQuota in namespace {namespace} whose scopeSelector admits "
    "this priority class: this cluster admits it only where a quota allows it."
)
_LIMITS: Final = (
    "Change the LimitRange of namespace {namespace}, or the pods' requests and limits: "
    "--set COMPONENT:resources.requests.cpu=100m."
)
_POD_SECURITY: Final = (
    "Allow these pods in namespace {namespace}, then run the same command again: kubectl label namespace {namespace} "
    "pod-security.kubernetes.io/enforce=privileged --overwrite (baseline is enough for istiod and gateways)."
)
_NO_ACCOUNT: Final = (
    "Create this ServiceAccount in namespace {namespace}, or have the chart create it: "
    "--set COMPONENT:serviceAccount.create=true."
)

_CREATION: Final[tuple[tuple[str, Cause, str], ...]] = (
    ("insufficient quota to match these scopes", Cause.QUOTA, _NO_SCOPE),
    ("exceeded quota", Cause.QUOTA, ""),
    ("failed quota", Cause.QUOTA, "Set what the quota requires: --set COMPONENT:resources.limits.cpu=2."),
    (r"limitrange|(?:minimum|maximum) \S+ usage per|limit to request ratio per", Cause.QUOTA, _LIMITS),
    ("failed calling webhook|no endpoints available", Cause.WEBHOOK, ""),
    ("violates podsecurity", Cause.POLICY, _POD_SECURITY),
    ("no priorityclass with name", Cause.POLICY, "Create this PriorityClass, or set another one in the values."),
    ("error looking up service account", Cause.CONFIG, _NO_ACCOUNT),
    ("denied|forbidden", Cause.POLICY, ""),
)
"""Words of a pod that was refused at admission, what they mean, and a next step of their own; the first match counts.

The words are those of kube-apiserver's admission plugins: ResourceQuota, LimitRanger, PodSecurity, Priority,
ServiceAccount, and the webhooks.
"""


def troubles_of_replica_set(replica_set: Manifest) -> list[Trouble]:
    """List why a ReplicaSet cannot create its pods (condition ReplicaFailure)."""
    failure = conditions_of(replica_set).get("ReplicaFailure", {})
    if failure.get("status") != "True":
        return []
    metadata, words = replica_set["metadata"], str(failure.get("message", ""))
    subject = f"ReplicaSet {metadata.get('namespace')}/{metadata['name']}"
    return [_refusal(subject, str(failure.get("reason", FAILED_CREATE)), words)]


def refusals_of(controller: Manifest, events: Iterable[Manifest], pods: Iterable[Manifest]) -> list[Trouble]:
    """List why a StatefulSet or a DaemonSet cannot create its pods: its FailedCreate events.

    These kinds have no condition that says so, as a ReplicaSet has. What was refused before the newest pod was made
    is over, and so is all of it once every pod is there; the times of both are whole seconds. A controller whose first
    pods are refused may not have said yet how many it wants.

    Args:
        controller: The controller, with its kind.
        events: The Warning events about it, oldest first.
        pods: Its pods of the newest template.
    """
    made = tuple(pods)
    newest = max((str(pod["metadata"].get("creationTimestamp") or "") for pod in made), default="")
    refused = [event for event in events if event.get("reason") == FAILED_CREATE and moment_of(event) >= newest]
    if not refused or 0 < wanted_pods(controller) <= sum(map(lives, made)):
        return []
    metadata, words = controller["metadata"], str(refused[-1].get("message", ""))
    subject = f"{controller.get('kind')} {metadata.get('namespace')}/{metadata['name']}"
    return [_refusal(subject, FAILED_CREATE, words)]


def version_of(event: Manifest) -> str:
    """Tell one state of an event from another: one that repeats is the same object, written anew."""
    return f"{event['metadata'].get('name')} {event['metadata'].get('resourceVersion')}"


def moment_of(event: Manifest) -> str:
    """Return when an event was last seen: RFC 3339, in whole seconds; empty where it does not say."""
    series = event.get("series") or {}
    seen = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or ""
    return re.sub(r"\.\d+", "", str(seen))


def _refusal(subject: str, reason: str, words: str) -> Trouble:
    cause, hint = _meaning(words)
    namespace = subject.partition(" ")[2].partition("/")[0]
    return Trouble(cause, subject, reason, words, hint=hint.format(namespace=namespace))


def _meaning(words: str) -> tuple[Cause, str]:
    meanings = ((cause, hint) for pattern, cause, hint in _CREATION if re.search(pattern, words, re.IGNORECASE))
    return next(meanings, (Cause.WEBHOOK, ""))
