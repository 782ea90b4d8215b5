"""Readiness: for one object, done, waiting for something, or failed because of something.

Pure functions of what the API server says of an object; the watching is elsewhere. Every answer that is not
"ready" carries a sentence. The rules are those of Kubernetes' own controllers and of istiod's start-up
(istiod's /ready does not cover its webhook's caBundle, so a ready Deployment alone proves nothing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import Manifest, containers


class State(StrEnum):
    """What is known of an object."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class Readiness:
    """The answer for one object.

    Attributes:
        message: What it waits for or why it failed; what was proved, where it is ready.
        names: The objects that the message only counts.
    """

    state: State
    message: str
    names: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing more is waited for."""
        return self.state is State.READY


def ready(message: str) -> Readiness:
    """Answer that nothing more is waited for."""
    return Readiness(State.READY, message)


def waiting(message: str, names: Iterable[str] = ()) -> Readiness:
    """Answer what is still waited for."""
    return Readiness(State.WAITING, message, tuple(names))


def failed(message: str) -> Readiness:
    """Answer that it will not become ready, and why."""
    return Readiness(State.FAILED, message)


def first_unready(answers: Iterable[Readiness]) -> Readiness | None:
    """Return a failure if there is one, else the first thing waited for, else nothing."""
    unready = [answer for answer in answers if not answer.ready]
    return next((answer for answer in unready if answer.state is State.FAILED), unready[0] if unready else None)


def observed(item: Manifest) -> bool:
    """Tell whether an object's controller has seen the object as it is now."""
    return int((item.get("status") or {}).get("observedGeneration", 0)) >= int(item["metadata"].get("generation", 0))


def _unseen(kind: str, name: str, workload: Manifest | None) -> Readiness:
    return waiting(f"{kind} {name} to be {'created' if workload is None else 'observed by its controller'}")


def of_deployment(deployment: Manifest | None, name: str) -> Readiness:
    """Judge a Deployment as ``kubectl rollout status`` does: observed, all replicas updated and available."""
    if deployment is None or not observed(deployment):
        return _unseen("Deployment", name, deployment)
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    # An exceeded progress deadline is no verdict: it may be of an earlier run, and its pods say what is wrong.
    exceeded = conditions_of(deployment).get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    left = status.get("replicas", 0) - updated
    available = status.get("availableReplicas", 0)
    unfinished = (
        (updated < wanted, f"{updated} of {wanted} replicas updated"),
        (left > 0, f"{counted(left, 'old replica')} to end"),
        (available < updated, f"{available} of {wanted} replicas available"),
    )
    for waits, words in unfinished:
        if waits:
            if spec.get("paused"):
                return waiting(f"Deployment {name}: {words}; its rollout is paused (kubectl rollout resume)")
            return waiting(f"Deployment {name}: {words}" + (", past its progress deadline" if exceeded else ""))
    return ready(f"Deployment {name}: {available} of {wanted} replicas available")


def of_stateful_set(stateful_set: Manifest | None, name: str) -> Readiness:
    """Judge a StatefulSet as ``kubectl rollout status`` does: observed, all replicas updated and ready."""
    if stateful_set is None or not observed(stateful_set):
        return _unseen("StatefulSet", name, stateful_set)
    spec, status = stateful_set.get("spec") or {}, stateful_set.get("status") or {}
    wanted = spec.get("replicas", 1)
    updated = updated_pods(stateful_set)
    strategy = spec.get("updateStrategy") or {}
    if _on_delete(strategy) or (strategy.get("rollingUpdate") or {}).get("partition"):
        updated = wanted  # the user decides which pods are updated, and when
    able = status.get("readyReplicas", 0)
    if updated < wanted:
        return waiting(f"StatefulSet {name}: {updated} of {wanted} replicas updated")
    if able < wanted:
        return waiting(f"StatefulSet {name}: {able} of {wanted} replicas ready")
    return ready(f"StatefulSet {name}: {able} of {wanted} replicas ready")


def of_daemon_set(daemon_set: Manifest | None, name: str) -> Readiness:
    """Judge a DaemonSet as ``kubectl rollout status`` does: observed, updated and available on every node it is for."""
    if daemon_set is None or not observed(daemon_set):
        return _unseen("DaemonSet", name, daemon_set)
    status = daemon_set.get("status") or {}
    wanted, updated = status.get("desiredNumberScheduled", 0), updated_pods(daemon_set)
    available = status.get("numberAvailable", 0)
    if updated < wanted and not _on_delete((daemon_set.get("spec") or {}).get("updateStrategy") or {}):
        return waiting(f"DaemonSet {name}: updated on {updated} of {wanted} nodes")
    if available < wanted:
        return waiting(f"DaemonSet {name}: available on {available} of {wanted} nodes")
    return ready(f"DaemonSet {name}: available on {available} of {wanted} nodes")


def of_workload(workload: Manifest | None, kind: str, name: str) -> Readiness:
    """Judge the newest rollout of a Deployment, StatefulSet or DaemonSet.

    Args:
        workload: The object as it is now, or None.
    """
    match kind:
        case "StatefulSet":
            return of_stateful_set(workload, name)
        case "DaemonSet":
            return of_daemon_set(workload, name)
        case _:
            return of_deployment(workload, name)


def updated_pods(workload: Manifest) -> int:
    """Return how many pods of a workload its controller counts as made from the newest template."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if workload.get("kind") == "DaemonSet" or "desiredNumberScheduled" in status:
        return int(status.get("updatedNumberScheduled", 0))
    revision = status.get("updateRevision")
    if revision and status.get("currentRevision") == revision:
        return int(spec.get("replicas", 1))  # a StatefulSet's controller stops counting when its update is complete
    return int(status.get("updatedReplicas", 0))


def wanted_pods(workload: Manifest) -> int:
    """Return how many pods a workload is to have: a DaemonSet one for each of its nodes."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if workload.get("kind") == "DaemonSet" or "desiredNumberScheduled" in status:
        return int(status.get("desiredNumberScheduled", 0))
    return int(spec.get("replicas", 1))


def _on_delete(strategy: Mapping[str, Any]) -> bool:
    """Tell whether pods are replaced only when somebody deletes them."""
    return strategy.get("type") == "OnDelete"


def of_crd(crd: Manifest | None, name: str) -> Readiness:
    """Judge a custom resource definition: Established and, where it says so, its names accepted."""
    if crd is None:
        return waiting(f"CRD {name} to be created")
    conditions = conditions_of(crd)
    if conditions.get("NamesAccepted", {}).get("status") == "False":
        return failed(f"CRD {name}: its names conflict: {conditions['NamesAccepted'].get('message', '')}")
    if conditions.get("Established", {}).get("status") != "True":
        return waiting(f"CRD {name} to be Established")
    return ready(f"CRD {name} is Established")


def of_webhooks(configuration: Manifest | None, name: str, ca_bundle: str | None) -> Readiness:
    """Judge a webhook configuration: each webhook trusts istiod's own root certificate.

    Args:
        ca_bundle: What istiod published in ConfigMap istio-ca-root-cert, base64 as a caBundle is; None where
            it is not known (a plugged-in CA): then any caBundle will do.
    """
    if configuration is None:
        return waiting(f"webhook configuration {name} to be created")
    for webhook in configuration.get("webhooks") or ():
        bundle = (webhook.get("clientConfig") or {}).get("caBundle")
        if not bundle:
            return waiting(f"istiod to set the caBundle of {name}")
        if ca_bundle is not None and bundle != ca_bundle:
            return waiting(f"istiod to renew the caBundle of {name}")
    return ready(f"{name} trusts istiod")


def of_endpoints(slices: Iterable[Manifest], service: str) -> Readiness:
    """Judge a Service by its EndpointSlices: at least one ready address."""
    for endpoints in slices:
        for endpoint in endpoints.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True) and endpoint.get("addresses"):
                return ready(f"Service {service} has a ready endpoint")
    return waiting(f"Service {service} to have a ready endpoint")


def of_gateway_pods(pods: Iterable[Manifest], name: str, proxy_image: str) -> Readiness:
    """Judge a gateway's pods: each runs the plan's own proxy image."""
    running = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    for pod in running:
        images = proxy_images(pod)
        if not proxy_image:
            return waiting(f"an istiod to say which proxy the pods of {name} should run")
        if proxy_image not in images:
            others = ", ".join(sorted(images)) or "no proxy"
            return waiting(f"pod {pod['metadata']['name']} of {name} to run {proxy_image} (it has {others})")
    return ready(f"{counted(len(running), 'pod')} of {name} on {proxy_image}")


def addresses_of(service: Manifest | None) -> tuple[str, ...]:
    """Return the addresses a LoadBalancer Service was given, IPs and host names."""
    ingress = ((service or {}).get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    return tuple(str(name) for entry in ingress if (name := entry.get("ip") or entry.get("hostname")))


PROXY_CONTAINER: Final = "istio-proxy"


def proxy_images(pod: Manifest) -> frozenset[str]:
    """Return the images of a pod's istio-proxy containers (native sidecars are init containers)."""
    return frozenset(str(spec.get("image", "")) for spec in containers(pod) if spec.get("name") == PROXY_CONTAINER)


def is_ready(item: Manifest) -> bool:
    """Tell whether a node or a pod is Ready."""
    return conditions_of(item).get("Ready", {}).get("status") == "True"


def conditions_of(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return an object's status conditions by type."""
    return {str(entry.get("type")): entry for entry in (manifest.get("status") or {}).get("conditions") or ()}
