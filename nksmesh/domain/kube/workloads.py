"""Workloads whose pods run a proxy: whose pods they are, which proxy they run, and which of them can be restarted.

A pod is injected when it has an ``istio-proxy`` container; from 1.27 on that is an init container that stays (a native
sidecar). It belongs to the workload at the top of its owners: a ReplicaSet's pods are their Deployment's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.kube.objects import Manifest, ObjectRef, lives
from nksmesh.domain.kube.readiness import proxy_images

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
"""The annotation that ``kubectl rollout restart`` sets: another word would confuse its readers."""

ROLLOUT_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet")
"""The kinds of apps/v1 that a changed pod template restarts."""

_STATUS: Final = "sidecar.istio.io/status"
_OWN_IMAGE: Final = "sidecar.istio.io/proxyImage"
_KEPT_BY_ISTIOD: Final = "gateway.istio.io/managed"
_VARIANTS: Final = ("-distroless", "-debug")
"""What an image type adds to a tag (``ProxyImage()`` in istio's pkg/kube/inject/inject.go)."""


@dataclass(frozen=True, kw_only=True, order=True)
class Workload:
    """A workload with injected pods, or with pods that are to be injected.

    Attributes:
        kind: The kind of the topmost owner of its pods, ``Pod`` where nobody owns them.
        pods: How many of its pods are injected, or are to be.
        proxies: The images of their istio-proxy containers.
        istio_revisions: The Istio revisions that injected them (``istio.io/rev``).
        restartable: A restart of its pod template brings every pod a new proxy.
        not_restartable: Why it cannot be restarted, and what to do instead; empty where it can.
        helm_release: The Helm release that owns it, as (name, namespace); None where Helm does not.
        kept_by_istiod: istiod made it for a Gateway of the Gateway API, and brings it to its own version.
    """

    namespace: str
    kind: str
    name: str
    pods: int
    proxies: tuple[str, ...]
    istio_revisions: tuple[str, ...]
    restartable: bool
    not_restartable: str = ""
    helm_release: tuple[str, str] | None = field(default=None, metadata=HIDDEN)
    kept_by_istiod: bool = field(default=False, metadata=HIDDEN)

    @property
    def ref(self) -> ObjectRef:
        """The object; only that of a restartable one is in a known API version."""
        return ObjectRef(
            "apps/v1" if self.kind in (*ROLLOUT_KINDS, "ReplicaSet") else "v1", self.kind, self.name, self.namespace
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Listed:
    """What was listed of some namespaces, or of all, to find workloads in.

    Attributes:
        replica_sets: The ReplicaSets that pods may be of; their metadata is enough.
        owners: The Deployments, StatefulSets and DaemonSets that may be at the top.
    """

    pods: Sequence[Manifest] = ()
    replica_sets: Sequence[Manifest] = ()
    owners: Sequence[Manifest] = ()

    def of(self, namespace: str) -> Listed:
        """Return what is in one namespace."""
        kept = (
            tuple(item for item in some if item["metadata"].get("namespace") == namespace)
            for some in (self.pods, self.replica_sets, self.owners)
        )
        return Listed(*kept)


def workloads_of(
    pods: Iterable[Manifest], replica_sets: Iterable[Manifest], owners: Iterable[Manifest]
) -> tuple[Workload, ...]:
    """Group the injected pods among pods by the workload they are of.

    Args:
        pods: Pods; those that ended or are ending count for nothing.
        replica_sets: The ReplicaSets that pods may be of; their metadata is enough.
        owners: The Deployments, StatefulSets and DaemonSets that may be at the top.
    """
    known = {key_of(str(manifest.get("kind")), manifest): manifest for manifest in owners}
    groups = pods_by_workload(filter(is_injected, pods), replica_sets)
    return tuple(sorted(workload_of(key, some, known.get(key)) for key, some in groups.items()))


def pods_by_workload(
    pods: Iterable[Manifest], replica_sets: Iterable[Manifest]
) -> dict[tuple[str, str, str], list[Manifest]]:
    """Group pods that live by the (namespace, kind, name) of the workload they are of.

    Args:
        replica_sets: The ReplicaSets that pods may be of; their metadata is enough.
    """
    above = {key_of("ReplicaSet", manifest): _controller(manifest) for manifest in replica_sets}
    groups: dict[tuple[str, str, str], list[Manifest]] = {}
    for pod in filter(lives, pods):
        groups.setdefault(_top(pod, above), []).append(pod)
    return groups


def on_other_proxy(workloads: Iterable[Workload], proxy_image: str) -> tuple[Workload, ...]:
    """Return the workloads of which a pod runs another proxy than the one given."""
    return tuple(workload for workload in workloads if not all(runs(proxy_image, image) for image in workload.proxies))


def runs(proxy_image: str, image: str) -> bool:
    """Tell whether an image is a proxy image, or a variant of the same version that a pod asked for."""
    return image in {proxy_image, *(proxy_image + variant for variant in _VARIANTS)}


def without_releases(workloads: Iterable[Workload], releases: Collection[Release]) -> tuple[Workload, ...]:
    """Leave out what releases own: a mesh's own gateways are restarted by the steps of its plan."""
    own = {(release.name, release.namespace) for release in releases}
    return tuple(workload for workload in workloads if workload.helm_release not in own)


def is_injected(pod: Manifest) -> bool:
    """Tell whether a pod that lives has a proxy of the injector's; ztunnel's container has the same name."""
    return lives(pod) and any("ztunnel" not in image.rpartition("/")[2] for image in proxy_images(pod))


def istio_revision_of(pod: Manifest) -> str:
    """Return the Istio revision that injected a pod, ``default`` for the default one; empty where nothing tells.

    The injector's own word comes first: the pod's label may name a tag, which is no revision.
    """
    annotations, labels = pod["metadata"].get("annotations") or {}, pod["metadata"].get("labels") or {}
    if "istio.io/rev" in annotations:
        return str(annotations["istio.io/rev"])
    try:
        status = json.loads(annotations.get(_STATUS) or "{}")
    except ValueError:
        status = {}
    revision = status.get("revision") if isinstance(status, Mapping) else None
    return str(revision or labels.get("istio.io/rev") or "")


def key_of(kind: str, manifest: Manifest) -> tuple[str, str, str]:
    """Return the (namespace, kind, name) of a workload, by which pods are grouped."""
    return str(manifest["metadata"].get("namespace", "")), kind, str(manifest["metadata"]["name"])


def _controller(manifest: Manifest) -> tuple[str, str] | None:
    """Return the (kind, name) of an object's controller."""
    for reference in manifest["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference.get("kind")), str(reference.get("name"))
    return None


def _top(pod: Manifest, above: Mapping[tuple[str, str, str], tuple[str, str] | None]) -> tuple[str, str, str]:
    namespace = str(pod["metadata"].get("namespace", ""))
    owner = _controller(pod)
    if owner is None:
        return key_of("Pod", pod)
    higher = above.get((namespace, *owner))
    return (namespace, *(higher or owner))


def workload_of(key: tuple[str, str, str], pods: list[Manifest], owner: Manifest | None) -> Workload:
    """Describe a workload.

    Args:
        key: Its (namespace, kind, name).
        pods: Those of its pods that are meant.
        owner: The object, None where it is a bare pod, of another kind, or not there.
    """
    namespace, kind, name = key
    why = _why_not(kind, pods, owner)
    annotations = ((owner or pods[0])["metadata"].get("annotations")) or {}
    release = annotations.get("meta.helm.sh/release-name")
    return Workload(
        namespace=namespace,
        kind=kind,
        name=name,
        pods=len(pods),
        proxies=tuple(sorted({image for pod in pods for image in proxy_images(pod)})),
        istio_revisions=tuple(sorted(filter(None, {istio_revision_of(pod) for pod in pods}))),
        restartable=not why,
        not_restartable=why,
        helm_release=(str(release), str(annotations.get("meta.helm.sh/release-namespace", ""))) if release else None,
        kept_by_istiod=_KEPT_BY_ISTIOD in ((owner or {}).get("metadata", {}).get("labels") or {}),
    )


def _why_not(kind: str, pods: Iterable[Manifest], owner: Manifest | None) -> str:
    """Say why a workload cannot be restarted, and what to do instead; empty where it can."""
    if any(_OWN_IMAGE in (pod["metadata"].get("annotations") or {}) for pod in pods):
        return f"its pods set their own proxy image: change their annotation {_OWN_IMAGE}"
    if kind not in ROLLOUT_KINDS:
        return _OTHER_KINDS.get(kind, f"restart it with the tool that manages {kind} objects")
    if owner is None:
        return f"{kind} was not found: delete its pods yourself"
    return why_not_restartable(owner)


def why_not_restartable(owner: Manifest) -> str:
    """Say why a Deployment, StatefulSet or DaemonSet cannot be restarted; empty where it can."""
    spec, labels = owner.get("spec") or {}, owner["metadata"].get("labels") or {}
    update = spec.get("updateStrategy") or {}
    if spec.get("paused"):
        return "its rollout is paused: kubectl rollout resume, then restart it"
    if update.get("type") == "OnDelete":
        return "its update strategy is OnDelete: delete its pods one by one"
    if (update.get("rollingUpdate") or {}).get("partition"):
        return "its update strategy has a partition, which keeps some pods unchanged: delete those pods yourself"
    if _KEPT_BY_ISTIOD in labels:
        return "istiod manages it itself, for a Gateway of the Gateway API: it changes with istiod"
    return ""


_OTHER_KINDS: Final = {
    "Pod": "nothing would recreate it: delete it and create it again yourself",
    "Job": "it would start from the beginning: let it end, or delete it and create it again yourself",
    "ReplicaSet": "a ReplicaSet does not replace pods when its template changes: delete its pods one by one",
    "ReplicationController": "it does not replace pods when its template changes: delete its pods one by one",
    "Rollout": "Argo manages it: kubectl argo rollouts restart",
}
"""What to do with the kinds that are not touched."""
