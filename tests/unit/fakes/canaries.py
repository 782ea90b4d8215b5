"""A mesh with a canary, as tests of Istio revisions find it."""

from __future__ import annotations

import json
from typing import Any

from nksmesh.commands.canary.start import LABELS_BEFORE
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster

MWC = "MutatingWebhookConfiguration"
WEBHOOKS = "admissionregistration.k8s.io/v1"
NEW = Release(component="istiod", name="istiod-1-22-8", namespace="istio-system", istio_revision="1-22-8")
CART = Workload(
    namespace="shop",
    kind="Deployment",
    name="cart",
    pods=1,
    proxies=("p:1",),
    istio_revisions=("default",),
    restartable=True,
)
LATER = Release(component="istiod", name="istiod-1-24-6", namespace="istio-system", istio_revision="1-24-6")


def kept(release: Release) -> RecordedRelease:
    return RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1)


def record(canary: Canary | None = None, **standing: Any) -> Record:
    releases = [BASE, ISTIOD, INGRESS, *([canary.release] if canary else [])]
    return Record(
        settings=Recorded(version="1.20.1", namespace="istio-system", revisions=DeployedRevisions(**standing)),
        hub="h",
        releases=tuple(map(kept, releases)),
        canary=canary,
    )


def canary(**changed: Any) -> Canary:
    settings = Recorded(
        version="1.22.8", revisions=DeployedRevisions(istio_revision="1-22-8", tags=changed.pop("tags", ()))
    )
    return Canary(settings=settings, release=NEW, **changed)


def namespace(name: str, before: dict[str, str] | None = None, **labels: str) -> Manifest:
    annotations = {LABELS_BEFORE: json.dumps(before)} if before is not None else {}
    named = {key.replace("_", "-").replace("istio-rev", "istio.io/rev"): label for key, label in labels.items()}
    metadata = {"name": name, "labels": named, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pod(name: str, where: str, revision: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": where, "annotations": {"istio.io/rev": revision}},
        "spec": {"containers": [{"name": "istio-proxy", "image": "proxyv2:1"}]},
        "status": {"phase": "Running"},
    }


def deployment(name: str, where: str, revision: str, **labels: str) -> list[Manifest]:
    """Make a Deployment with an injected pod."""
    owned = pod(f"{name}-1", where, revision)
    owned["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": name, "controller": True}]
    metadata = {"name": name, "namespace": where, "labels": labels}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}}, owned]


def on_proxies(cluster: FakeCluster, *objects: Manifest) -> None:
    """Let other workloads have the proxies than those of the scene."""
    for ref in [ref for ref in cluster.objects.stored if ref.kind == "Pod"]:
        del cluster.objects.stored[ref]
    for one in objects:
        cluster.objects.put(one)


def webhook(name: str, owner: Release, **labels: str) -> Manifest:
    named = {f"istio.io/{key}": one for key, one in labels.items()}
    return {
        "apiVersion": WEBHOOKS,
        "kind": MWC,
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "Helm", **named},
            "annotations": {
                "meta.helm.sh/release-name": owner.name,
                "meta.helm.sh/release-namespace": owner.namespace,
            },
        },
        "webhooks": [],
    }


def owner_of(cluster: FakeCluster, name: str) -> str:
    found = cluster.objects.stored[ObjectRef(WEBHOOKS, MWC, name)]
    return str(found["metadata"]["annotations"]["meta.helm.sh/release-name"])


def stored_names(cluster: FakeCluster, release: Release) -> list[str]:
    stored = cluster.storage.kept[release.namespace, release.name]
    return [one["metadata"]["name"] for text in stored.manifest.split("---\n") if text for one in _listed(text)]


def _listed(text: str) -> list[dict[str, Any]]:
    read = json.loads(text)
    return read if isinstance(read, list) else [read]


def furnish(cluster: FakeCluster) -> FakeCluster:
    """Make a mesh with a canary, and namespaces that follow the one, the other and none."""
    cluster.records.kept = {"istio-system": record(canary())}
    cluster.storage.put(*(installed(one) for one in (BASE, ISTIOD, INGRESS, NEW)))
    for one in (
        namespace("shop", istio_injection="enabled"),
        namespace("pay", before={"istio-injection": "enabled"}, istio_rev="1-22-8"),
        namespace("off", istio_injection="disabled"),
        namespace("none"),
    ):
        cluster.objects.put(one)
    for one in (*deployment("cart", "shop", "default"), *deployment("till", "pay", "1-22-8")):
        cluster.objects.put(one)
    return cluster
