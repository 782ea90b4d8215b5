"""Failures on demand: an image that never pulls, a crash loop, an unready pod, no node for a pod.

A failure is a mutating webhook that the agent answers: it marks the pods that its selector picks as they
are made, and kwok's stages, or the scheduler, do the rest. It is kept where all else is, in the cluster.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError, RefusedError
from nksmesh.sandbox.layout import DEFAULT_NAME
from nksmesh.sandbox.nodes import NODES, unless
from nksmesh.sandbox.stages import FAILURE_ANNOTATION, FAILURES_SERVICE, INVALID_NAME, PULL_ERRORS

if TYPE_CHECKING:
    from nksmesh.adapters.cluster.api import Api

IMAGE_REASONS: Final = (*PULL_ERRORS, INVALID_NAME)
SCHEDULABLE_LABEL: Final = "nksmesh.io/sandbox-schedulable"

_LABEL: Final = "nksmesh.io/sandbox"
_LABEL_VALUE: Final = "failure"
_WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_PROBES: Final = 100
_PROBE_SECONDS: Final = 0.05
_TERM = re.compile(r"([A-Za-z0-9./_-]+)\s*(!=|==|=)\s*([A-Za-z0-9._-]*)")


class Failure(StrEnum):
    """What can be made to fail."""

    IMAGE = "image"
    CRASH = "crash"
    UNREADY = "unready"
    UNSCHEDULABLE = "unschedulable"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A failure that was staged.

    Attributes:
        reason: Of an image failure: which error its pull meets.
        selector: The pods it concerns; empty for all.
        marked: How many pods that were there already fail from now on, too.
    """

    failure: Failure
    reason: str
    selector: str
    marked: int
    name: str = DEFAULT_NAME


async def stage(
    api: Api, certificates: Path, failure: Failure, *, selector: str = "", reason: str = "not-found"
) -> Staged:
    """Make every pod that the selector picks fail from now on.

    Pods that are there already crash, or turn unready, as well; an image failure and a missing node
    concern new pods alone, as they do on any cluster.

    Raises:
        ConfigError: The selector or the reason is not understood.
    """
    if failure is Failure.IMAGE and reason not in IMAGE_REASONS:
        raise ConfigError(
            f"an image failure's reason cannot be {reason!r}", hint=f"Use one of {', '.join(IMAGE_REASONS)}."
        )
    expressions = parse_selector(selector)
    mark = f"image-{reason}" if failure is Failure.IMAGE else str(failure)
    if failure is Failure.UNSCHEDULABLE:
        await _label_nodes(api, None)
    authority = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
    await _create(api, _webhook(mark, expressions, authority), mark)
    marked = 0
    if failure in {Failure.CRASH, Failure.UNREADY}:
        marked = await _mark_pods(api, selector, mark)
    return Staged(failure=failure, reason=reason if failure is Failure.IMAGE else "", selector=selector, marked=marked)


async def heal(api: Api) -> int:
    """End every staged failure; return how many there were. Pods that failed become Ready."""
    staged = await api.request("GET", _WEBHOOKS, query={"labelSelector": f"{_LABEL}={_LABEL_VALUE}"})
    for webhook in staged["items"]:
        await api.request("DELETE", f"{_WEBHOOKS}/{webhook['metadata']['name']}")
    if staged["items"]:
        namespace, service = FAILURES_SERVICE
        await api.request("DELETE", f"/api/v1/namespaces/{namespace}/services/{service}")
    await _label_nodes(api, "true")
    await _mark_pods(api, "", None)
    return len(staged["items"])


async def merge(api: Api, path: str, patch: dict[str, Any]) -> None:
    """Merge a patch into an object (RFC 7386)."""
    await api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")


def parse_selector(selector: str) -> list[dict[str, Any]]:
    """Turn ``app=a,tier!=b`` into expressions of a label selector.

    Raises:
        ConfigError: It is not of that form.
    """
    expressions: list[dict[str, Any]] = []
    for term in filter(None, (part.strip() for part in selector.split(","))):
        match = _TERM.fullmatch(term)
        if match is None:
            raise ConfigError(f"{term!r} is not a label selector", hint="Write key=value, and a comma between several.")
        key, operator, value = match.groups()
        expressions.append({"key": key, "operator": "NotIn" if operator == "!=" else "In", "values": [value]})
    return expressions


def failure_patch(pod: dict[str, Any], target: str) -> list[dict[str, Any]]:
    """Return the JSON patch that marks a pod; ``target`` is the webhook's path, which names the mark."""
    mark = target.partition("?")[0].rpartition("/")[2]
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/metadata/annotations", "value": {**annotations, FAILURE_ANNOTATION: mark}}
    ]
    if mark == Failure.UNSCHEDULABLE:
        chosen = (pod.get("spec") or {}).get("nodeSelector") or {}
        value = {**chosen, SCHEDULABLE_LABEL: "true"}
        patch.append({"op": "add", "path": "/spec/nodeSelector", "value": value})
    return patch


def _webhook(mark: str, expressions: list[dict[str, Any]], authority: str) -> dict[str, Any]:
    namespace, service = FAILURES_SERVICE
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"generateName": f"nksmesh-sandbox-{mark}-", "labels": {_LABEL: _LABEL_VALUE}},
        "webhooks": [
            {
                "name": "failures.sandbox.nksmesh.io",
                "clientConfig": {
                    "service": {"namespace": namespace, "name": service, "path": f"/{mark}"},
                    "caBundle": authority,
                },
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "objectSelector": {"matchExpressions": expressions},
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


async def _create(api: Api, webhook: dict[str, Any], mark: str) -> None:
    namespace, service = FAILURES_SERVICE
    body = {"metadata": {"name": service}, "spec": {"ports": [{"port": 443}]}}
    with unless("AlreadyExists"):
        await api.request("POST", f"/api/v1/namespaces/{namespace}/services", body=body)
    await api.request("POST", _WEBHOOKS, body=webhook)
    # the API server learns of both by watches: ask until a pod that is not to stay is marked
    labels = {
        e["key"]: e["values"][0]
        for e in webhook["webhooks"][0]["objectSelector"]["matchExpressions"]
        if e["operator"] == "In"
    }
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "nksmesh-sandbox-probe-", "labels": labels},
        "spec": {"containers": [{"name": "probe", "image": "probe"}]},
    }
    for _ in range(_PROBES):
        with contextlib.suppress(RefusedError):
            made = await api.request("POST", "/api/v1/namespaces/default/pods", body=probe, query={"dryRun": "All"})
            if (made["metadata"].get("annotations") or {}).get(FAILURE_ANNOTATION) == mark:
                return
        await asyncio.sleep(_PROBE_SECONDS)
    raise ClusterError(
        f"the sandbox does not mark pods to fail ({mark})", hint="Run nksmesh sandbox status to find the agent's log."
    )


async def _mark_pods(api: Api, selector: str, mark: str | None) -> int:
    pods = await api.request("GET", "/api/v1/pods", query={"labelSelector": selector})
    concerned = [
        pod["metadata"]
        for pod in pods["items"]
        if mark or FAILURE_ANNOTATION in (pod["metadata"].get("annotations") or {})
    ]
    for metadata in concerned:
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with unless("NotFound"):
            await merge(api, path, {"metadata": {"annotations": {FAILURE_ANNOTATION: mark}}})
    return len(concerned)


async def _label_nodes(api: Api, value: str | None) -> None:
    for node in NODES:
        await merge(api, f"/api/v1/nodes/{node}", {"metadata": {"labels": {SCHEDULABLE_LABEL: value}}})
