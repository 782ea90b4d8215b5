"""Who owns a live object: Helm, Flux, Argo CD, istioctl, kubectl, a controller, or another field manager.

Labels that Istio's charts render themselves are no sign of an owner: ``install.operator.istio.io/owning-resource:
unknown`` and ``operator.istio.io/component: Pilot`` (istiod's templates, 1.19 to 1.30), and
``app.kubernetes.io/managed-by``, ``instance`` and ``helm.sh/chart``, which ``helm template`` renders, too.

Sources: Helm's ownership rule (``meta.helm.sh``); Flux labels what a HelmRelease or a Kustomization applies; Argo CD
writes a tracking id ``APP:GROUP/KIND:NAMESPACE/NAME``, or the Application's name as a label, and applies as
``argocd-controller``; istioctl applies as ``istio-operator`` and names the IstioOperator (istio-facts 3, 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.kube.objects import FIELD_MANAGER, RELEASE_NAME, RELEASE_NAMESPACE, Manifest, managers_of


class Tool(StrEnum):
    """What made an object and will change it again."""

    HELM = "Helm"
    FLUX = "Flux"
    ARGO = "Argo CD"
    ISTIOCTL = "istioctl"
    KUBECTL = "kubectl"
    CONTROLLER = "a controller"
    OTHER = "another field manager"
    NOBODY = "nobody"


HELM_RELEASE: Final = "HelmRelease"
KUSTOMIZATION: Final = "Kustomization"
APPLICATION: Final = "Application"
ISTIO_OPERATOR: Final = "IstioOperator"

OWNING_RESOURCE: Final = "install.operator.istio.io/owning-resource"
OWNING_NAMESPACE: Final = "install.operator.istio.io/owning-resource-namespace"

ISTIOCTL_MANAGERS: Final = ("istio-operator", "istioctl")
KUBECTL_MANAGERS: Final = ("kubectl-client-side-apply", "kubectl", "kubectl-create")
"""Field managers of ``kubectl apply`` and ``create``. ``kubectl-edit`` and the like change objects of others."""

_FLUX: Final = {
    "helm.toolkit.fluxcd.io": HELM_RELEASE,
    "kustomize.toolkit.fluxcd.io": KUSTOMIZATION,
}
_FLUX_MANAGERS: Final = {"helm-controller": HELM_RELEASE, "kustomize-controller": KUSTOMIZATION}
_ARGO_MANAGERS: Final = ("argocd-controller", "argocd-application-controller")
_TRACKING: Final = "argocd.argoproj.io/tracking-id"
_ARGO_INSTANCE: Final = "argocd.argoproj.io/instance"
_INSTANCE: Final = "app.kubernetes.io/instance"
_ISTIOCTL_LABELS: Final = ("operator.istio.io/managed", "operator.istio.io/version")
_RENDERED: Final = frozenset({"", "unknown"})
"""What the charts render as the owning resource where istioctl says nothing."""

_NOT_OWNERS: Final = ("kube-", "cloud-controller", "pilot-", "nksmesh", "kubectl-")
"""Beginnings of field managers that write into objects of others: Kubernetes, istiod, a hand's ``kubectl edit``."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who owns an object.

    Attributes:
        kind: The kind of the object that the tool made it from: ``HelmRelease``, ``Application``; empty for none.
        name: The name of that object, of the Helm release, or of the field manager; empty where nothing tells it.
        namespace: The namespace of that object or Helm release; empty where nothing tells it.
    """

    tool: Tool
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        words = {
            Tool.HELM: f"Helm release {self.name} in {self.namespace or '?'}",
            Tool.ISTIOCTL: "istioctl",
            Tool.KUBECTL: "kubectl apply",
            Tool.CONTROLLER: f"{self.kind} {self.name} (its controller)",
            Tool.OTHER: f"{self.name} (its field manager)",
            Tool.NOBODY: "somebody else",
        }
        return words.get(self.tool) or (f"{self.tool} ({self.kind} {where})" if self.name else str(self.tool))

    @property
    def removal(self) -> str:
        """The command that removes what the tool made, with NAME for what is not known; empty for no such command."""
        here = f" -n {self.namespace}" if self.namespace else ""
        match self.tool:
            case Tool.HELM:
                return f"helm uninstall {self.name}{here}"
            case Tool.FLUX:
                return f"flux delete {self.kind.lower()} {self.name or 'NAME'}{here}"
            case Tool.ARGO:
                return f"argocd app delete {f'{self.namespace}/' if self.namespace else ''}{self.name or 'NAME'}"
            case Tool.ISTIOCTL:
                return "istioctl uninstall --purge"
            case Tool.KUBECTL:
                return "kubectl delete -f FILE, with the manifests that were applied"
        return ""

    @property
    def way_on(self) -> str:
        """What a user can do about an object of this owner, in one sentence."""
        who = {
            Tool.HELM: "Helm",
            Tool.CONTROLLER: f"the controller of {self.kind}",
            Tool.OTHER: self.name,
            Tool.NOBODY: "its owner",
        }.get(self.tool, str(self.tool))
        ends = f": {self.removal}" if self.removal else ""
        return f"Continue with {who}, or use it to remove the mesh first{ends}."


def owner_of(live: Manifest) -> Owner:
    """Recognise the owner of a live object by its marks and its field managers.

    A tool that puts its objects back (Flux, Argo CD, a controller) comes before Helm, which it may work with.

    Args:
        live: The object, or its metadata alone, as the API server returns it.
    """
    metadata = live.get("metadata") or {}
    return (
        _of_flux(metadata)
        or _of_argo(metadata)
        or _of_controller(metadata)
        or _of_helm(metadata)
        or _of_istioctl(metadata)
        or _of_managers(_managers(metadata))
    )


def foreign_owner(live: Manifest, mark: str) -> Owner | None:
    """Return who owns an object beside nksmesh; None where nksmesh made it and no tool keeps it.

    Args:
        mark: The label of what nksmesh makes in this way.
    """
    owner, metadata = owner_of(live), live.get("metadata") or {}
    by_hand = owner.tool is Tool.OTHER and (owner.name == FIELD_MANAGER or owner.name.startswith("kubectl-"))
    ours = mark in (metadata.get("labels") or {}) and FIELD_MANAGER in managers_of(live)
    return None if ours and by_hand else owner


def _of_flux(metadata: Mapping[str, Any]) -> Owner | None:
    labels = metadata.get("labels") or {}
    for group, kind in _FLUX.items():
        if name := labels.get(f"{group}/name"):
            return Owner(tool=Tool.FLUX, kind=kind, name=name, namespace=labels.get(f"{group}/namespace") or "")
    kinds = (_FLUX_MANAGERS[manager] for manager in _managers(metadata) if manager in _FLUX_MANAGERS)
    return next((Owner(tool=Tool.FLUX, kind=kind) for kind in kinds), None)


def _of_argo(metadata: Mapping[str, Any]) -> Owner | None:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    managed = any(manager in _ARGO_MANAGERS for manager in _managers(metadata))
    application, _, tracked = str(annotations.get(_TRACKING) or "").partition(":")
    if application and not tracked.endswith(f"/{metadata.get('name')}"):
        application = ""  # copied from another object: Argo CD passes it over, too
    if not application:
        application = str(labels.get(_ARGO_INSTANCE) or (labels.get(_INSTANCE) or "" if managed else ""))
    if not application and not managed:
        return None
    namespace, _, name = application.rpartition("_")  # Applications outside Argo CD's own namespace
    return Owner(tool=Tool.ARGO, kind=APPLICATION, name=name, namespace=namespace)


def _of_controller(metadata: Mapping[str, Any]) -> Owner | None:
    owning = (ref for ref in metadata.get("ownerReferences") or () if ref.get("controller"))
    found = (Owner(tool=Tool.CONTROLLER, kind=str(ref["kind"]), name=str(ref["name"])) for ref in owning)
    return next(found, None)


def _of_helm(metadata: Mapping[str, Any]) -> Owner | None:
    annotations = metadata.get("annotations") or {}
    name = annotations.get(RELEASE_NAME)
    return Owner(tool=Tool.HELM, name=name, namespace=annotations.get(RELEASE_NAMESPACE) or "") if name else None


def _of_istioctl(metadata: Mapping[str, Any]) -> Owner | None:
    labels = metadata.get("labels") or {}
    name = str(labels.get(OWNING_RESOURCE) or "")
    if name not in _RENDERED:
        namespace = labels.get(OWNING_NAMESPACE) or ""
        return Owner(tool=Tool.ISTIOCTL, kind=ISTIO_OPERATOR, name=name, namespace=namespace)
    labelled = any(label in labels for label in _ISTIOCTL_LABELS)
    if labelled or any(manager in ISTIOCTL_MANAGERS for manager in _managers(metadata)):
        return Owner(tool=Tool.ISTIOCTL)
    return None


def _of_managers(managers: tuple[str, ...]) -> Owner:
    if any(manager in KUBECTL_MANAGERS for manager in managers):
        return Owner(tool=Tool.KUBECTL)
    others = (manager for manager in managers if not manager.startswith(_NOT_OWNERS))
    name = next(iter([*others, *managers]), "")
    return Owner(tool=Tool.OTHER, name=name) if name else Owner(tool=Tool.NOBODY)


def _managers(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the field managers of an object itself; those of its status and scale are controllers."""
    entries = (entry for entry in metadata.get("managedFields") or () if not entry.get("subresource"))
    return tuple(dict.fromkeys(str(entry["manager"]) for entry in entries if entry.get("manager")))
