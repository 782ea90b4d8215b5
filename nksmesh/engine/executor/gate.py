"""The webhook gate: proof that istiod's injector answers the API server, before anything depends on it.

An available istiod proves nothing: its /ready does not cover the webhook's caBundle (istio-facts 7). The proof is a
pod that the API server admits in a dry run, and that comes back with the plan's own proxy image.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import ClusterError, NotReadyError, RefusedError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.diagnosis import Cause, next_step
from nksmesh.domain.kube.objects import INJECTED_IMAGE, ObjectRef
from nksmesh.domain.kube.readiness import (
    PROXY_CONTAINER,
    Readiness,
    State,
    failed,
    first_unready,
    proxy_images,
    ready,
    waiting,
)
from nksmesh.domain.mesh.revisions import REVISION_LABEL, injection_labels
from nksmesh.engine.observation import webhook_configured
from nksmesh.engine.ports import Cluster
from nksmesh.engine.runtime import Runtime

PROBE_POD: Final = "nksmesh-injection-probe"

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
"""Seconds between two probes: no watch tells when a webhook begins to answer."""

_OWN_WEBHOOK: Final = re.compile(r"sidecar-injector\.istio\.io")
_DENIED_BY: Final = re.compile(r'admission webhook "([^"]+)"')
_RULE: Final = re.compile(
    r"violates PodSecurity|exceeded quota|failed quota|cannot create resource|dry ?run", re.IGNORECASE
)
"""What else refuses a pod for good: Pod Security, a quota, our own permissions, a webhook without dry-run support."""

_NO_ACCOUNT_YET: Final = re.compile(r"error looking up service account", re.IGNORECASE)


@dataclass(frozen=True)
class Probe:
    """Where a pod is admitted in a dry run, and the Istio revision that its label names; empty for none."""

    namespace: str
    istio_revision: str = ""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What must be proved before gateways come.

    Attributes:
        probes: A probe for each namespace and Istio revision of the gateways, whose pods it resembles; where there is
            none, caBundle and endpoint are all the proof.
        proxy_image: The image that every probe must come back with.
    """

    step: str
    istiod: Release
    probes: tuple[Probe, ...]
    proxy_image: str


async def pass_gate(gate: Gate, runtime: Runtime) -> str:
    """Wait until the injector answers, and prove it by dry runs.

    Returns:
        What was proved.

    Raises:
        NotReadyError: It does not answer in time, or leaves a namespace's pods alone for longer than is its grace.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + runtime.waits.component
    refused_since: float | None = None
    pause, said = _FIRST_PAUSE, ""
    warned: set[str] = set()

    def warn(words: str) -> None:
        if words not in warned:
            warned.add(words)
            runtime.listener(Event(step=gate.step, kind=EventKind.WARNING, message=words))

    while True:
        version = runtime.cluster.live.version
        answer = await _look(gate, runtime.cluster, warn)
        if answer.ready:
            return answer.message
        if answer.message != said:
            said = answer.message
            runtime.listener(Event(step=gate.step, kind=EventKind.WAITING, message=said))
        refused_since = (refused_since or clock()) if answer.state is State.FAILED else None
        if refused_since is not None and clock() - refused_since > runtime.waits.graces[Cause.NOT_INJECTED]:
            raise NotReadyError(answer.message, hint=next_step(Cause.NOT_INJECTED))
        if clock() > deadline:
            raise NotReadyError(
                f"istiod's webhook does not answer after {spoken(runtime.waits.component)}: "
                f"waiting for {answer.message}",
                hint="Check that the API server reaches port 15017 of the nodes, and read istiod's log.",
            )
        await asyncio.sleep(_FIRST_PAUSE)  # a busy namespace changes more often than is worth a probe
        await runtime.cluster.live.changed(version, min(pause, max(deadline - clock(), 0.0)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def where_labels_decide(preferred: str, cluster: Cluster) -> tuple[str, ...]:
    """Find a namespace in which a pod's own labels decide which istiod injects it: one without labels of its own.

    Args:
        preferred: Taken where it is one.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    found = await cluster.objects.list("v1", "Namespace", metadata_only=True)
    metas = [namespace["metadata"] for namespace in found]
    labels = {str(meta["name"]): injection_labels(meta.get("labels") or {}) for meta in metas}
    others = (name for name in labels if not name.startswith("kube-"))
    return next(((name,) for name in (preferred, "default", *others) if not labels.get(name)), ())


async def _look(gate: Gate, cluster: Cluster, warn: Callable[[str], None]) -> Readiness:
    """Judge the gate once: the webhook's configuration, then a probe in every namespace."""
    configured = webhook_configured(cluster.live, gate.istiod)
    if not configured.ready:
        return configured
    found = await asyncio.gather(*(_probe(gate, probe, cluster) for probe in gate.probes))
    for refused in (answer for answer in found if isinstance(answer, str)):
        warn(refused)
    answers = [answer for answer in found if isinstance(answer, Readiness)]
    if answers:
        return first_unready(answers) or answers[0]
    trusted = webhook_configured(cluster.live, gate.istiod, trusted=True)
    return (
        ready("caBundle and endpoint are verified; dry-run pods were rejected by another webhook")
        if trusted.ready
        else trusted
    )


async def _probe(gate: Gate, probe: Probe, cluster: Cluster) -> Readiness | str:
    """Ask the API server to admit a pod; return what it shows, or why the proof cannot be had."""
    namespace = probe.namespace
    manifest = _probe_pod(namespace, probe.istio_revision)
    try:
        admitted = await cluster.objects.create(manifest, ObjectRef("v1", "Pod", PROBE_POD, namespace), dry_run=True)
    except RefusedError as exc:
        return _refusal(exc)
    except ClusterError as exc:
        return waiting(exc.message)
    images = proxy_images(admitted)
    if gate.proxy_image in images:
        return ready(f"a dry-run pod in {namespace} gets {gate.proxy_image}")
    if not images or images == {INJECTED_IMAGE}:
        return failed(f"the injector does not inject pods in namespace {namespace}")
    return waiting(f"istiod to inject {gate.proxy_image} (it injects {', '.join(sorted(images))})")


def _refusal(exc: RefusedError) -> Readiness | str:
    """Tell our own webhook, which is awaited, from somebody else's, which will not change its mind."""
    words = exc.detail
    denied = _DENIED_BY.search(words)
    if denied and _OWN_WEBHOOK.search(denied.group(1)):
        return failed(f"the injector refuses pods: {words}")
    if _OWN_WEBHOOK.search(words) or _NO_ACCOUNT_YET.search(words):
        return waiting(f"the injector to answer: {words}")
    if denied or _RULE.search(words):
        who = f"admission webhook {denied.group(1)}" if denied else "an admission rule"
        return f"{who} rejects the dry-run pod, so the injector is verified by its caBundle and endpoint only: {words}"
    return waiting(f"the API server to admit a dry-run pod: {words}")


def _probe_pod(namespace: str, istio_revision: str) -> Mapping[str, Any]:
    """Describe a pod as the gateway chart makes them, that asks for nothing else but an Istio revision."""
    labels = {"sidecar.istio.io/inject": "true"}
    if istio_revision:
        labels[REVISION_LABEL] = istio_revision
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": PROBE_POD,
            "namespace": namespace,
            "labels": labels,
            "annotations": {"inject.istio.io/templates": "gateway"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": PROXY_CONTAINER, "image": INJECTED_IMAGE}],
        },
    }
