"""What a cluster shows of a mesh: objects as its controllers and istiod leave them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest
from tests.unit.domain.meshes import HUB

Object = dict[str, Any]

PROXY = f"{HUB}/proxyv2:1.20.0"
NAMESPACE = "istio-system"
ROOT = "root certificate"
BUNDLE = base64.b64encode(ROOT.encode()).decode()

SIGNED = json.dumps(
    [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "of-istio", "annotations": {"sidecar.istio.io/inject": "true"}},
        }
    ]
)
"""A manifest by which a release of base or of a gateway is known for one of Istio's."""


def deployment(
    name: str, *, namespace: str = NAMESPACE, available: bool = True, image: str = f"{HUB}/x:1.20.0"
) -> Object:
    """A Deployment of one replica."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"deployment-{name}",
            "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": int(available),
        },
    }


def daemon_set(name: str, *, generation: int = 1, ready: int = 1) -> Object:
    """A DaemonSet on one node, whose controller has seen its newest template."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"daemonset-{name}",
            "generation": generation,
            "annotations": {"deprecated.daemonset.template.generation": str(generation)},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}}},
        "status": {
            "observedGeneration": generation,
            "desiredNumberScheduled": 1,
            "updatedNumberScheduled": ready,
            "numberAvailable": ready,
        },
    }


def on_node(owner: str, *, image: str = PROXY, generation: int = 1, made: str = "2026-01-01T00:00:00Z") -> Object:
    """A pod of a DaemonSet."""
    one = pod(owner, name=f"{owner}-{generation}", image=image)
    one["metadata"] |= {
        "labels": {"pod-template-generation": str(generation)},
        "creationTimestamp": made,
        "ownerReferences": [{"uid": f"daemonset-{owner}"}],
    }
    return one


def refusal(about: Manifest, words: str, *, at: str = "2026-01-01T00:00:09Z") -> Object:
    """The event that tells that a controller's pod was refused."""
    return {**event(about, words, at=at), "reason": "FailedCreate"}


def replica_set(owner: str, *, namespace: str = NAMESPACE, revision: str = "1", failure: str = "") -> Object:
    """A Deployment's ReplicaSet."""
    conditions = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure}]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{owner}-{revision}",
            "namespace": namespace,
            "uid": f"set-{owner}-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"uid": f"deployment-{owner}"}],
        },
        "status": {"conditions": conditions if failure else []},
    }


def pod(owner: str, *, name: str = "", image: str = PROXY, namespace: str = NAMESPACE, revision: str = "1") -> Object:
    """A pod of a ReplicaSet, with a proxy."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"{owner}-{revision}-x",
            "namespace": namespace,
            "uid": f"pod-{name or owner}",
            "ownerReferences": [{"uid": f"set-{owner}-{revision}"}],
        },
        "spec": {"containers": [{"name": "istio-proxy", "image": image}]},
        "status": {"phase": "Running", "hostIP": "10.0.0.9"},
    }


def pulling(owner: str, words: str, *, image: str = PROXY) -> Object:
    """A pod that cannot pull its image."""
    held = {"waiting": {"reason": "ErrImagePull", "message": words}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "istio-proxy", "state": held}]}
    return {**pod(owner, image=image), "status": status}


def service(name: str, *, namespace: str = NAMESPACE, kind: str = "LoadBalancer", address: str = "") -> Object:
    """A gateway's Service."""
    ingress = [{"ip": address}] if address else []
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "uid": f"service-{name}"},
        "spec": {"type": kind, "ports": [{"name": "http2", "port": 80, "nodePort": 30080}]},
        "status": {"loadBalancer": {"ingress": ingress}},
    }


def event(about: Manifest, message: str, *, at: str = "2026-01-01T00:00:00Z") -> Object:
    """A Warning event."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"event-{at}", "namespace": about["metadata"]["namespace"]},
        "involvedObject": {"uid": about["metadata"]["uid"]},
        "message": message,
        "lastTimestamp": at,
    }


def webhook(*, bundle: str = BUNDLE, namespace: str = NAMESPACE, revision: str = "default", name: str = "") -> Object:
    """The injector's webhook configuration."""
    client = {"service": {"name": "istiod", "namespace": namespace}, "caBundle": bundle}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name or "istio-sidecar-injector", "labels": {"istio.io/rev": revision}},
        "webhooks": [{"name": "rev.namespace.sidecar-injector.istio.io", "clientConfig": client}],
    }


def root_cert(root: str = ROOT) -> Object:
    """The ConfigMap in which istiod publishes its root certificate."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio-ca-root-cert", "namespace": NAMESPACE},
        "data": {"root-cert.pem": root},
    }


def endpoints(service: str = "istiod", *, ready: bool = True) -> Object:
    """A Service's EndpointSlice."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-x",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": service},
        },
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
    }


def answering() -> tuple[Object, ...]:
    """All that must hold before istiod's webhook can answer."""
    return webhook(), root_cert(), endpoints()


def injected(manifest: Manifest, image: str = PROXY) -> Object:
    """Answer an admission as istiod's injector does."""
    return {**manifest, "spec": {"containers": [{"name": "istio-proxy", "image": image}]}}


def crd(name: str, *, established: bool = True) -> Object:
    """A custom resource definition."""
    conditions = [{"type": "Established", "status": str(established)}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "generation": 1},
        "spec": {
            "group": name.partition(".")[2],
            "names": {"kind": name.partition(".")[0].title(), "plural": name.partition(".")[0]},
            "versions": [{"name": "v1alpha3", "served": False}, {"name": "v1", "served": True}],
        },
        "status": {"conditions": conditions},
    }


def versioned(name: str, version: str, **annotations: str) -> Object:
    """A CRD as base renders it from 1.24 on."""
    found = crd(name)
    found["metadata"] |= {"labels": {"app.kubernetes.io/version": version}, "annotations": annotations}
    return found


def of_release(manifest: Manifest, release: Release) -> Object:
    """Put Helm's marks of ownership on an object."""
    metadata = {
        **manifest["metadata"],
        "labels": {**manifest["metadata"].get("labels", {}), "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            **manifest["metadata"].get("annotations", {}),
            "meta.helm.sh/release-name": release.name,
            "meta.helm.sh/release-namespace": release.namespace,
        },
    }
    return {**manifest, "metadata": metadata}


def rolled_out(owner: str, *pods: Object, namespace: str = NAMESPACE) -> Sequence[Object]:
    """A Deployment that is available, its ReplicaSet and its pods."""
    return deployment(owner, namespace=namespace), replica_set(owner, namespace=namespace), *pods
