"""What is followed of a mesh, and what a release's readiness is made of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final

from nksmesh.domain.diagnosis import Trouble, troubles_of_pod, troubles_of_replica_set
from nksmesh.domain.objects import INJECTED_IMAGE, Manifest, Query, crds_of
from nksmesh.domain.readiness import (
    Readiness,
    State,
    first_unready,
    of_crd,
    of_daemon_set,
    of_deployment,
    of_endpoints,
    of_gateway_pods,
    of_webhooks,
    proxy_images,
    ready,
    waiting,
)
from nksmesh.domain.releases import Release
from nksmesh.workflows.ports import Live

CRDS: Final = Query("apiextensions.k8s.io/v1", "CustomResourceDefinition")
ROOT_CERT: Final = "istio-ca-root-cert"
"""The ConfigMap in which istiod publishes its root certificate to every namespace."""

_REVISION: Final = "deployment.kubernetes.io/revision"
_TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
_POD_GENERATION: Final = "pod-template-generation"
"""Which of a DaemonSet's templates is the newest, and which one a pod is of: deprecated in apps/v1, and always set."""


def queries_for(namespaces: Iterable[str], control_plane: str) -> list[Query]:
    """Name what is followed to see a mesh become ready: workloads and their events, Services, webhooks."""
    queries = [
        Query("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", labels="istio.io/rev"),
        Query("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", labels="istio.io/rev"),
        Query("v1", "ConfigMap", control_plane, fields=f"metadata.name={ROOT_CERT}"),
    ]
    for namespace in dict.fromkeys(namespaces):
        queries += [deployments(namespace), services(namespace)]
        queries += [
            Query("apps/v1", "ReplicaSet", namespace),
            Query("v1", "Pod", namespace),
            Query("v1", "Event", namespace, fields="type=Warning"),
            Query("discovery.k8s.io/v1", "EndpointSlice", namespace),
        ]
    return queries


def deployments(namespace: str) -> Query:
    """Follow a namespace's Deployments."""
    return Query("apps/v1", "Deployment", namespace)


ROLLED_OUT: Final = ("Deployment", "DaemonSet")
"""The kinds that the mesh's charts run their pods by."""


def daemon_sets(namespace: str) -> Query:
    """Follow a namespace's DaemonSets."""
    return Query("apps/v1", "DaemonSet", namespace)


def services(namespace: str) -> Query:
    """Follow a namespace's Services."""
    return Query("v1", "Service", namespace)


def rollout_of(live: Live, release: Release, manifests: Iterable[Manifest]) -> Readiness:
    """Judge a release by the Deployments and DaemonSets it renders."""
    some = tuple(manifests)
    names, everywhere = _names_of("Deployment", some), _names_of("DaemonSet", some)
    answers = [of_deployment(live.get("Deployment", name, release.namespace), name) for name in names]
    answers += [of_daemon_set(live.get("DaemonSet", name, release.namespace), name) for name in everywhere]
    words = [f"Deployment {name} is available" for name in names]
    words += [f"DaemonSet {name} is available on every node" for name in everywhere]
    return first_unready(answers) or ready(", ".join(words) or "installed")


def crds_established(live: Live, names: Iterable[str]) -> Readiness:
    """Judge CRDs by name."""
    wanted = tuple(names)
    unready = {name: answer for name in wanted if not (answer := of_crd(live.get(CRDS.kind, name), name)).ready}
    if not unready:
        return ready(f"{len(wanted)} CRDs are Established")
    broken = next((answer for answer in unready.values() if answer.state is State.FAILED), None)
    return broken or waiting(f"{len(unready)} of {len(wanted)} CRDs to be Established: {', '.join(unready)}")


def crd_names(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Name the CRDs among manifests."""
    return tuple(str(crd["metadata"]["name"]) for crd in crds_of(tuple(manifests)))


def webhook_configured(live: Live, istiod: Release, *, trusted: bool = False) -> Readiness:
    """Judge what must hold before istiod's webhook can answer: caBundles set, an endpoint ready.

    Args:
        live: The view.
        istiod: The istiod whose webhook it is.
        trusted: The caBundles must be the root certificate that istiod published, too. A dry run proves more, and
            with a CA that others keep the two may differ for good.
    """
    revision = istiod.istio_revision or "default"
    published = live.get("ConfigMap", ROOT_CERT, istiod.namespace)
    root = ((published or {}).get("data") or {}).get("root-cert.pem")
    bundle = base64.b64encode(root.encode()).decode() if root and trusted else None
    configurations = [
        one
        for one in live.find("MutatingWebhookConfiguration")
        if (one["metadata"].get("labels") or {}).get("istio.io/rev") == revision and _calls(one, istiod.namespace)
    ]
    if not configurations:
        return waiting(f"a MutatingWebhookConfiguration of Istio revision {revision}")
    service = f"istiod-{istiod.istio_revision}" if istiod.istio_revision else "istiod"
    slices = [
        one
        for one in live.find("EndpointSlice", istiod.namespace)
        if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
    ]
    answers = [of_webhooks(one, str(one["metadata"]["name"]), bundle) for one in configurations]
    return first_unready([*answers, of_endpoints(slices, service)]) or ready("caBundles are set")


def gateway_ready(live: Live, release: Release, manifests: Iterable[Manifest], proxy_image: str) -> Readiness:
    """Judge a gateway: rolled out, and every pod on the plan's own proxy image."""
    rendered = tuple(manifests)
    rollout = rollout_of(live, release, rendered)
    if not rollout.ready:
        return rollout
    pods, wanted = pods_of(live, release, rendered), _updated_replicas(live, release, rendered)
    if len(pods) < wanted:  # pods come by another watch than their Deployment
        return waiting(f"{wanted - len(pods)} of {wanted} pods of {release.name} to be seen")
    return of_gateway_pods(pods, release.name, proxy_image)


def pods_of(live: Live, release: Release, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods of a release's Deployments, of every ReplicaSet; those that ended or are ending are left out."""
    return [pod for pod in _all_pods(live, release, manifests) if _lives(pod)]


def pods_without_proxy(live: Live, release: Release, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods that were admitted without injection: their image is still ``auto``, and stays so."""
    return [pod for pod in pods_of(live, release, manifests) if proxy_images(pod) == {INJECTED_IMAGE}]


def pods_on_other_proxy(
    live: Live, release: Release, manifests: Iterable[Manifest], proxy_image: str
) -> list[Manifest]:
    """Return the pods that run another proxy image than the plan's."""
    return [pod for pod in pods_of(live, release, manifests) if proxy_image not in proxy_images(pod)]


def troubles_of(live: Live, release: Release, manifests: Iterable[Manifest]) -> list[Trouble]:
    """List what keeps the newest pods of a release from being ready; older ReplicaSets' pods are on their way out."""
    some = tuple(manifests)
    found: list[Trouble] = []
    for daemon_set, pod in _pods_of_daemon_sets(live, release, some):
        newest = (daemon_set["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)
        if _observed(daemon_set) and (pod["metadata"].get("labels") or {}).get(_POD_GENERATION) in {newest, None}:
            found += troubles_of_pod(pod, events_of(live, pod))
    for name in _names_of("Deployment", some):
        deployment = live.get("Deployment", name, release.namespace)
        if deployment is None or not _observed(deployment):
            continue  # its ReplicaSets are still those from before
        revision = (deployment["metadata"].get("annotations") or {}).get(_REVISION)
        for replica_set in _owned(live.find("ReplicaSet", release.namespace), deployment):
            if (replica_set["metadata"].get("annotations") or {}).get(_REVISION) != revision:
                continue
            found += troubles_of_replica_set(replica_set)
            for pod in _owned(live.find("Pod", release.namespace), replica_set):
                found += troubles_of_pod(pod, events_of(live, pod))
    return found


def events_of(live: Live, about: Manifest) -> list[Manifest]:
    """Return the Warning events about an object, oldest first."""
    uid, namespace = about["metadata"].get("uid"), str(about["metadata"].get("namespace", ""))
    events = [one for one in live.find("Event", namespace) if (one.get("involvedObject") or {}).get("uid") == uid]
    return sorted(events, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))


def _all_pods(live: Live, release: Release, manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    some = tuple(manifests)
    yield from (pod for _, pod in _pods_of_daemon_sets(live, release, some))
    for name in _names_of("Deployment", some):
        deployment = live.get("Deployment", name, release.namespace)
        if deployment is not None:
            for replica_set in _owned(live.find("ReplicaSet", release.namespace), deployment):
                yield from _owned(live.find("Pod", release.namespace), replica_set)


def _pods_of_daemon_sets(
    live: Live, release: Release, manifests: Iterable[Manifest]
) -> Iterator[tuple[Manifest, Manifest]]:
    """Yield a release's DaemonSets, each with one of its pods."""
    for name in _names_of("DaemonSet", manifests):
        daemon_set = live.get("DaemonSet", name, release.namespace)
        if daemon_set is not None:
            yield from ((daemon_set, pod) for pod in _owned(live.find("Pod", release.namespace), daemon_set))


def _names_of(kind: str, manifests: Iterable[Manifest]) -> tuple[str, ...]:
    return tuple(str(one["metadata"]["name"]) for one in manifests if one.get("kind") == kind)


def _owned(candidates: Iterable[Manifest], owner: Manifest) -> list[Manifest]:
    uid = owner["metadata"].get("uid")
    return [
        one
        for one in candidates
        if any(reference.get("uid") == uid for reference in one["metadata"].get("ownerReferences") or ())
    ]


def _lives(pod: Manifest) -> bool:
    """Tell whether a pod still has anything to run: an evicted one stays in the list as Failed."""
    phase = (pod.get("status") or {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in {"Failed", "Succeeded"}


def _updated_replicas(live: Live, release: Release, manifests: Iterable[Manifest]) -> int:
    found = (live.get("Deployment", name, release.namespace) for name in _names_of("Deployment", manifests))
    return sum((one.get("status") or {}).get("updatedReplicas", 0) for one in found if one is not None)


def _observed(deployment: Manifest) -> bool:
    seen = (deployment.get("status") or {}).get("observedGeneration", 0)
    return bool(seen >= deployment["metadata"].get("generation", 0))


def _calls(configuration: Manifest, namespace: str) -> bool:
    """Tell whether a webhook configuration calls a Service in a namespace: two meshes may share a revision's name."""
    return any(
        ((webhook.get("clientConfig") or {}).get("service") or {}).get("namespace") == namespace
        for webhook in configuration.get("webhooks") or ()
    )
