"""What is followed of a mesh, and what a release's readiness is made of."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.diagnosis import Trouble, troubles_of_pod
from nksmesh.domain.kube.objects import (
    INJECTED_IMAGE,
    Manifest,
    ObjectRef,
    Query,
    called_services,
    crds_of,
    lives,
    ref_of,
)
from nksmesh.domain.kube.readiness import (
    Readiness,
    State,
    first_unready,
    observed,
    of_crd,
    of_endpoints,
    of_gateway_pods,
    of_webhooks,
    of_workload,
    proxy_images,
    ready,
    updated_pods,
    waiting,
)
from nksmesh.domain.kube.refusals import FAILED_CREATE, moment_of, refusals_of, troubles_of_replica_set, version_of
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS, why_not_restartable
from nksmesh.engine.ports import Live

CRDS: Final = Query("apiextensions.k8s.io/v1", "CustomResourceDefinition")
ROOT_CERT: Final = "istio-ca-root-cert"
"""The ConfigMap in which istiod publishes its root certificate to every namespace."""

PUBLISHED: Final = (ROOT_CERT, "istio-ca-crl")
"""The ConfigMaps that istiod publishes to every namespace (the second one: PILOT_CRL_CONFIGMAP, from 1.31 on)."""

_REVISION: Final = "deployment.kubernetes.io/revision"
_TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
_POD_GENERATION: Final = "pod-template-generation"
"""Which of a DaemonSet's templates is the newest, and which one a pod is of: deprecated in apps/v1, and always set."""

_POD_REVISION: Final = "controller-revision-hash"
"""Which of a StatefulSet's revisions a pod is of; ``status.updateRevision`` is the newest."""


_EVERYWHERE: Final = {"DaemonSet": " on every node"}


def queries_for(namespaces: Iterable[str], control_plane: str) -> list[Query]:
    """Name what is followed to see a mesh become ready: workloads and their events, Services, webhooks."""
    queries = [
        Query("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", labels="istio.io/rev"),
        Query("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", labels="istio.io/rev"),
        Query("v1", "ConfigMap", control_plane, fields=f"metadata.name={ROOT_CERT}"),
    ]
    for namespace in dict.fromkeys(namespaces):
        queries += [_workloads("Deployment", namespace), *_around_pods(namespace)]
        queries += [Query("v1", "Service", namespace), Query("discovery.k8s.io/v1", "EndpointSlice", namespace)]
    return queries


def queries_of(release: Release, manifests: Iterable[Manifest]) -> list[Query]:
    """Name what is followed to see a release's own workloads and Services: of their kinds, in their namespaces."""
    some = tuple(manifests)
    refs = workloads_of(release, some)
    queries = [query for ref in refs for query in (_workloads(ref.kind, ref.namespace), *_around_pods(ref.namespace))]
    queries += [Query("v1", "Service", ref.namespace) for ref in services_of(release, some)]
    return list(dict.fromkeys(queries))


def workloads_of(release: Release, manifests: Iterable[Manifest]) -> tuple[ObjectRef, ...]:
    """Name the workloads that a release renders, of every kind that a changed pod template restarts."""
    return tuple(ref_of(manifest, release.namespace) for manifest in manifests if manifest.get("kind") in ROLLOUT_KINDS)


def services_of(release: Release, manifests: Iterable[Manifest]) -> tuple[ObjectRef, ...]:
    """Name the Services that a release renders."""
    return tuple(ref_of(manifest, release.namespace) for manifest in manifests if manifest.get("kind") == "Service")


def query_for(ref: ObjectRef) -> Query:
    """Return the query by which an object is followed."""
    return Query(ref.api_version, ref.kind, ref.namespace)


def _workloads(kind: str, namespace: str) -> Query:
    return Query("apps/v1", kind, namespace)


def _around_pods(namespace: str) -> tuple[Query, ...]:
    """Follow what tells of a workload's pods."""
    return (
        _workloads("ReplicaSet", namespace),
        Query("v1", "Pod", namespace),
        Query("v1", "Event", namespace, fields="type=Warning"),
    )


def rollout_of(live: Live, release: Release, manifests: Iterable[Manifest]) -> Readiness:
    """Judge a release by the workloads it renders."""
    refs = workloads_of(release, manifests)
    answers = [of_workload(live.get(ref.kind, ref.name, ref.namespace), ref.kind, ref.name) for ref in refs]
    words = [f"{ref.kind} {ref.name} is available{_EVERYWHERE.get(ref.kind, '')}" for ref in refs]
    return first_unready(answers) or ready(", ".join(words) or "installed")


def crds_established(live: Live, names: Iterable[str]) -> Readiness:
    """Judge CRDs by name."""
    wanted = tuple(names)
    unready = {name: answer for name in wanted if not (answer := of_crd(live.get(CRDS.kind, name), name)).ready}
    if not unready:
        return ready(f"{counted(len(wanted), 'CRD is', 'CRDs are')} Established")
    broken = next((answer for answer in unready.values() if answer.state is State.FAILED), None)
    return broken or waiting(f"{len(unready)} of {len(wanted)} CRDs to be Established", unready)


def crd_names(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Name the CRDs among manifests."""
    return tuple(str(crd["metadata"]["name"]) for crd in crds_of(tuple(manifests)))


def crd_ref(name: str) -> ObjectRef:
    """Name a CRD as an object."""
    return ObjectRef(CRDS.api_version, CRDS.kind, name)


def webhook_configured(live: Live, istiod: Release, *, trusted: bool = False) -> Readiness:
    """Judge what must hold before istiod's webhook can answer: caBundles set, an endpoint ready.

    Args:
        trusted: The caBundles must be the root certificate that istiod published, too. A dry run proves more, and
            with a CA that others keep the two may differ for good.
    """
    revision = istiod.istio_revision or "default"
    published = live.get("ConfigMap", ROOT_CERT, istiod.namespace)
    root = ((published or {}).get("data") or {}).get("root-cert.pem")
    bundle = base64.b64encode(root.encode()).decode() if root and trusted else None
    configurations = [
        webhook
        for webhook in live.find("MutatingWebhookConfiguration")
        if (webhook["metadata"].get("labels") or {}).get("istio.io/rev") == revision
        and any(where == istiod.namespace for where, _ in called_services(webhook))  # two meshes may share its name
    ]
    if not configurations:
        return waiting(f"a MutatingWebhookConfiguration of Istio revision {revision}")
    service = f"istiod-{istiod.istio_revision}" if istiod.istio_revision else "istiod"
    slices = [
        endpoints
        for endpoints in live.find("EndpointSlice", istiod.namespace)
        if (endpoints["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
    ]
    answers = [of_webhooks(webhook, str(webhook["metadata"]["name"]), bundle) for webhook in configurations]
    return first_unready([*answers, of_endpoints(slices, service)]) or ready("caBundles are set")


def gateway_ready(live: Live, release: Release, manifests: Iterable[Manifest], proxy_image: str) -> Readiness:
    """Judge a gateway: rolled out, and every pod on the plan's own proxy image."""
    rendered = tuple(manifests)
    rollout = rollout_of(live, release, rendered)
    if not rollout.ready:
        return rollout
    pods, wanted = pods_of(live, release, rendered), sum(map(updated_pods, _found(live, release, rendered)))
    if len(pods) < wanted:  # pods come by another watch than their workload
        return waiting(f"{wanted - len(pods)} of {wanted} pods of {release.name} to appear")
    answer = of_gateway_pods(pods, release.name, proxy_image)
    return answer if answer.ready else _with_its_cause(answer, _found(live, release, rendered))


def pods_of(live: Live, release: Release, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods of a release's workloads, of every template; those that ended or are ending are left out."""
    return [
        pod for workload in _found(live, release, manifests) for pod in pods_of_workload(live, workload) if lives(pod)
    ]


def pods_without_proxy(live: Live, release: Release, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods that were admitted without injection: their image is still ``auto``, and stays so."""
    return [pod for pod in pods_of(live, release, manifests) if proxy_images(pod) == {INJECTED_IMAGE}]


def pods_on_other_proxy(
    live: Live, release: Release, manifests: Iterable[Manifest], proxy_image: str
) -> list[Manifest]:
    """Return the pods that run another proxy image than the plan's."""
    return [pod for pod in pods_of(live, release, manifests) if proxy_image not in proxy_images(pod)]


def troubles_of(
    live: Live, release: Release, manifests: Iterable[Manifest], *, over: Collection[str] = ()
) -> list[Trouble]:
    """List what keeps the newest pods of a release from being ready; pods of older templates are on their way out.

    Args:
        over: The refusals of ``refusals_in`` that are known to tell of nothing any more.
    """
    workloads = _found(live, release, manifests)
    return [trouble for workload in workloads for trouble in troubles_of_workload(live, workload, over=over)]


def troubles_of_workload(live: Live, workload: Manifest, *, over: Collection[str] = ()) -> list[Trouble]:
    """List what keeps the newest pods of one workload from being ready.

    Args:
        over: The refusals of ``refusals_in`` that are known to tell of nothing any more.
    """
    if workload.get("kind") == "Deployment":
        return _troubles_of_replica_sets(live, workload) if observed(workload) else []
    found: list[Trouble] = []
    pods = [pod for pod in pods_of_workload(live, workload) if _is_newest(pod, workload)]
    if not of_workload(workload, str(workload.get("kind")), "").ready:
        refusals = (event for event in refusals_about(live, workload) if version_of(event) not in over)
        found += refusals_of(workload, refusals, pods)
    if observed(workload):  # before that its newest pods are still those from before
        found += [trouble for pod in pods for trouble in troubles_of_pod(pod, events_of(live, pod))]
    return found


def refusals_in(live: Live, release: Release, manifests: Iterable[Manifest]) -> dict[str, list[str]]:
    """Name the refusals that events tell of, by the workload of a release whose pods were refused."""
    found = _found(live, release, manifests)
    return {
        str(ref_of(owner, release.namespace)): [version_of(event) for event in refusals_about(live, owner)]
        for owner in found
    }


def refusals_about(live: Live, workload: Manifest) -> list[Manifest]:
    """Return the events that say that a workload's pods could not be created, oldest first."""
    return [event for event in events_of(live, workload) if event.get("reason") == FAILED_CREATE]


def events_of(live: Live, about: Manifest) -> list[Manifest]:
    """Return the Warning events about an object, oldest first."""
    uid, namespace = about["metadata"].get("uid"), str(about["metadata"].get("namespace", ""))
    events = [event for event in live.find("Event", namespace) if (event.get("involvedObject") or {}).get("uid") == uid]
    return sorted(events, key=moment_of)


def _found(live: Live, release: Release, manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """Yield a release's workloads as they are now; those that do not exist are left out."""
    for ref in workloads_of(release, manifests):
        workload = live.get(ref.kind, ref.name, ref.namespace)
        if workload is not None:
            yield {"kind": ref.kind, **workload}


def pods_of_workload(live: Live, workload: Manifest) -> list[Manifest]:
    """Return a workload's pods, of every template."""
    pods = live.find("Pod", str(workload["metadata"].get("namespace", "")))
    if workload.get("kind") != "Deployment":
        return _owned(pods, workload)
    return [pod for replica_set in _replica_sets_of(live, workload) for pod in _owned(pods, replica_set)]


def _replica_sets_of(live: Live, deployment: Manifest) -> list[Manifest]:
    return _owned(live.find("ReplicaSet", str(deployment["metadata"].get("namespace", ""))), deployment)


def _troubles_of_replica_sets(live: Live, deployment: Manifest) -> list[Trouble]:
    found: list[Trouble] = []
    revision = (deployment["metadata"].get("annotations") or {}).get(_REVISION)
    for replica_set in _replica_sets_of(live, deployment):
        if (replica_set["metadata"].get("annotations") or {}).get(_REVISION) != revision:
            continue
        found += troubles_of_replica_set(replica_set)
        for pod in _owned(live.find("Pod", str(replica_set["metadata"].get("namespace", ""))), replica_set):
            found += troubles_of_pod(pod, events_of(live, pod))
    return found


def _is_newest(pod: Manifest, workload: Manifest) -> bool:
    """Tell whether a pod of a DaemonSet or StatefulSet is of the newest template, as far as it says so."""
    labels = pod["metadata"].get("labels") or {}
    if workload.get("kind") == "StatefulSet":
        newest = (workload.get("status") or {}).get("updateRevision")
        return not newest or labels.get(_POD_REVISION) in {newest, None}
    generation = (workload["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)
    return labels.get(_POD_GENERATION) in {generation, None}


def _with_its_cause(answer: Readiness, workloads: Iterable[Manifest]) -> Readiness:
    """Say with a wait for new pods what keeps a workload from making them: its own update strategy."""
    held = ((workload, why) for workload in workloads if (why := why_not_restartable(workload)))
    named = [f"{workload.get('kind')} {workload['metadata']['name']}: {why}" for workload, why in held]
    return waiting("; ".join((answer.message, *named)))


def _owned(candidates: Iterable[Manifest], owner: Manifest) -> list[Manifest]:
    uid = owner["metadata"].get("uid")
    return [
        candidate
        for candidate in candidates
        if any(reference.get("uid") == uid for reference in candidate["metadata"].get("ownerReferences") or ())
    ]
