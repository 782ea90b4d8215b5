"""Kubernetes objects as data: which one, of which release, and what images it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nksmesh.domain.charts.releases import Release

HELM_MANAGER: Final = "helm"
"""Helm's own name among field managers (Helm 3 and 4)."""


Manifest: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as JSON or YAML has it."""

RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"
"""The annotations in which Helm writes on an object which release owns it."""

FIELD_MANAGER: Final = "nksmesh"
"""Our name among an object's field managers."""

INJECTED_IMAGE: Final = "auto"
"""The image the gateway chart gives its proxy: istiod's injector replaces it at admission."""

CLUSTER_SCOPED: Final = frozenset(
    {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "GatewayClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PriorityClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)


@dataclass(frozen=True, order=True)
class ObjectRef:
    """One object of a cluster.

    Attributes:
        api_version: ``apps/v1``, ``v1``.
        kind: ``Deployment``.
        namespace: Its namespace, empty for a cluster-scoped object.
    """

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    def json_form(self) -> str:
        """Return what JSON has: the words."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Query:
    """What to follow: a kind, in a namespace or everywhere."""

    api_version: str
    kind: str
    namespace: str = ""
    labels: str = ""
    fields: str = ""


def ref_of(manifest: Manifest, namespace: str = "") -> ObjectRef:
    """Name the object a manifest describes.

    Args:
        namespace: Where a namespaced object goes that does not say so itself, as Helm places it.
    """
    metadata = manifest.get("metadata") or {}
    kind = str(manifest.get("kind", ""))
    own = "" if kind in CLUSTER_SCOPED else str(metadata.get("namespace") or namespace)
    return ObjectRef(str(manifest.get("apiVersion", "")), kind, str(metadata.get("name", "")), own)


def owned_by(release: Release, live: Manifest) -> bool:
    """Tell whether Helm would take a live object as this release's (Helm's own three-part ownership rule)."""
    metadata = live.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return (
        (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == "Helm"
        and annotations.get(RELEASE_NAME) == release.name
        and annotations.get(RELEASE_NAMESPACE) == release.namespace
    )


def helm_marks(live: Manifest) -> tuple[str, str] | None:
    """Return the (namespace, name) of the Helm release that an object's marks name."""
    annotations = live["metadata"].get("annotations") or {}
    name = annotations.get(RELEASE_NAME)
    return (str(annotations.get(RELEASE_NAMESPACE) or ""), str(name)) if name else None


def with_helm_marks(metadata: Mapping[str, Any], release: Release) -> dict[str, Any]:
    """Return metadata with the label and the annotations that Helm gives what a release owns."""
    marks = {RELEASE_NAME: release.name, RELEASE_NAMESPACE: release.namespace}
    return {
        **metadata,
        "labels": {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {**(metadata.get("annotations") or {}), **marks},
    }


def called_services(configuration: Manifest) -> set[tuple[str, str]]:
    """Return the (namespace, name) of the Services that a webhook configuration calls; both empty for another URL."""
    services = (
        (webhook.get("clientConfig") or {}).get("service") or {} for webhook in configuration.get("webhooks") or ()
    )
    return {(str(service.get("namespace") or ""), str(service.get("name") or "")) for service in services}


def managers_of(live: Manifest) -> tuple[str, ...]:
    """Name an object's field managers."""
    managed = (live.get("metadata") or {}).get("managedFields") or ()
    return tuple(dict.fromkeys(str(entry["manager"]) for entry in managed if entry.get("manager")))


def pod_template(manifest: Manifest) -> Mapping[str, Any]:
    """Return the pod template of a workload, the pod itself of a Pod, or an empty mapping."""
    spec = manifest.get("spec") or {}
    if manifest.get("kind") == "Pod":
        return manifest
    if manifest.get("kind") == "CronJob":
        spec = ((spec.get("jobTemplate") or {}).get("spec")) or {}
    template = spec.get("template") if isinstance(spec, Mapping) else None
    return template if isinstance(template, Mapping) else {}


def lives(pod: Manifest) -> bool:
    """Tell whether a pod still has anything to run: an evicted one stays in the list as Failed."""
    phase = (pod.get("status") or {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in {"Failed", "Succeeded"}


def containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every container of a pod or pod template, init containers first."""
    spec = pod.get("spec") or {}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def kind_of_crd(crd: Manifest) -> str:
    """Return the kind that a custom resource definition makes."""
    return str(((crd.get("spec") or {}).get("names") or {}).get("kind", ""))


def crds_of(manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """Return the custom resource definitions among manifests."""
    return tuple(manifest for manifest in manifests if manifest.get("kind") == "CustomResourceDefinition")
