"""Whose an object is: marks and field managers of every tool that installs Istio, and the labels that are no sign."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from nksmesh.domain.kube.owners import Owner, Tool, owner_of

RENDERED = "install.operator.istio.io/owning-resource: unknown, operator.istio.io/component: Pilot"

OWNERS = {
    "a Helm release": (
        "annotations: {meta.helm.sh/release-name: edge, meta.helm.sh/release-namespace: istio-system}",
        Owner(tool=Tool.HELM, name="edge", namespace="istio-system"),
        "Helm release edge in istio-system",
        "helm uninstall edge -n istio-system",
    ),
    "a Helm release that does not say where": (
        "annotations: {meta.helm.sh/release-name: x}",
        Owner(tool=Tool.HELM, name="x"),
        "Helm release x in ?",
        "helm uninstall x",
    ),
    "Flux's HelmRelease, which Helm's marks come with": (
        (
            "{labels: {helm.toolkit.fluxcd.io/name: mesh, helm.toolkit.fluxcd.io/namespace: flux-system}, "
            "annotations: {meta.helm.sh/release-name: istiod, meta.helm.sh/release-namespace: istio-system}}"
        ),
        Owner(tool=Tool.FLUX, kind="HelmRelease", name="mesh", namespace="flux-system"),
        "Flux (HelmRelease flux-system/mesh)",
        "flux delete helmrelease mesh -n flux-system",
    ),
    "Flux's Kustomization": (
        "labels: {kustomize.toolkit.fluxcd.io/name: infra, kustomize.toolkit.fluxcd.io/namespace: flux-system}",
        Owner(tool=Tool.FLUX, kind="Kustomization", name="infra", namespace="flux-system"),
        "Flux (Kustomization flux-system/infra)",
        "flux delete kustomization infra -n flux-system",
    ),
    "Flux by its field manager": (
        "managedFields: [{manager: kustomize-controller}]",
        Owner(tool=Tool.FLUX, kind="Kustomization"),
        "Flux",
        "flux delete kustomization NAME",
    ),
    "Argo CD's tracking id": (
        "annotations: {argocd.argoproj.io/tracking-id: 'mesh:apps/Deployment:istio-system/x'}",
        Owner(tool=Tool.ARGO, kind="Application", name="mesh"),
        "Argo CD (Application mesh)",
        "argocd app delete mesh",
    ),
    "an Application outside Argo CD's namespace": (
        "annotations: {argocd.argoproj.io/tracking-id: 'team_mesh:apps/Deployment:istio-system/x'}",
        Owner(tool=Tool.ARGO, kind="Application", name="mesh", namespace="team"),
        "Argo CD (Application team/mesh)",
        "argocd app delete team/mesh",
    ),
    "Argo CD's own label": (
        "labels: {argocd.argoproj.io/instance: mesh}",
        Owner(tool=Tool.ARGO, kind="Application", name="mesh"),
        "Argo CD (Application mesh)",
        "argocd app delete mesh",
    ),
    "the instance label, where Argo CD applies": (
        "{labels: {app.kubernetes.io/instance: mesh}, managedFields: [{manager: argocd-controller}]}",
        Owner(tool=Tool.ARGO, kind="Application", name="mesh"),
        "Argo CD (Application mesh)",
        "argocd app delete mesh",
    ),
    "Argo CD by its field manager": (
        f"{{labels: {{{RENDERED}}}, managedFields: [{{manager: argocd-controller}}]}}",
        Owner(tool=Tool.ARGO, kind="Application"),
        "Argo CD",
        "argocd app delete NAME",
    ),
    "an older Argo CD, over what kubectl had applied": (
        "managedFields: [{manager: kubectl-client-side-apply}, {manager: argocd-application-controller}]",
        Owner(tool=Tool.ARGO, kind="Application"),
        "Argo CD",
        "argocd app delete NAME",
    ),
    "Argo CD with what istioctl had made": (
        (
            "{labels: {install.operator.istio.io/owning-resource: installed-state}, "
            "annotations: {argocd.argoproj.io/tracking-id: 'mesh:apps/Deployment:istio-system/x'}}"
        ),
        Owner(tool=Tool.ARGO, kind="Application", name="mesh"),
        "Argo CD (Application mesh)",
        "argocd app delete mesh",
    ),
    "a tracking id that was copied from another object": (
        (
            "{annotations: {argocd.argoproj.io/tracking-id: 'mesh:apps/Deployment:a/other'}, "
            "managedFields: [{manager: kubectl}]}"
        ),
        Owner(tool=Tool.KUBECTL),
        "kubectl apply",
        "kubectl delete -f FILE, with the manifests that were applied",
    ),
    "the instance label alone, which charts render": (
        (
            "{labels: {app.kubernetes.io/instance: istiod, app.kubernetes.io/managed-by: Helm}, "
            "managedFields: [{manager: kubectl}]}"
        ),
        Owner(tool=Tool.KUBECTL),
        "kubectl apply",
        "kubectl delete -f FILE, with the manifests that were applied",
    ),
    "an operator's resource, though Helm's marks are there": (
        (
            "{ownerReferences: [{kind: IstioRevision, name: default, controller: true}], "
            "annotations: {meta.helm.sh/release-name: default-istiod, meta.helm.sh/release-namespace: istio-system}}"
        ),
        Owner(tool=Tool.CONTROLLER, kind="IstioRevision", name="default"),
        "IstioRevision default (its controller)",
        "",
    ),
    "istioctl's own resource": (
        (
            "labels: {install.operator.istio.io/owning-resource: installed-state-team, "
            "install.operator.istio.io/owning-resource-namespace: istio-system}"
        ),
        Owner(tool=Tool.ISTIOCTL, kind="IstioOperator", name="installed-state-team", namespace="istio-system"),
        "istioctl",
        "istioctl uninstall --purge",
    ),
    "istioctl's labels": (
        f"labels: {{{RENDERED}, operator.istio.io/managed: Reconcile}}",
        Owner(tool=Tool.ISTIOCTL),
        "istioctl",
        "istioctl uninstall --purge",
    ),
    "istioctl by its field manager": (
        f"{{labels: {{{RENDERED}}}, managedFields: [{{manager: istio-operator}}, {{manager: pilot-discovery}}]}}",
        Owner(tool=Tool.ISTIOCTL),
        "istioctl",
        "istioctl uninstall --purge",
    ),
    "kubectl, with what the charts render": (
        (
            f"{{labels: {{{RENDERED}}}, managedFields: [{{manager: kube-controller-manager, subresource: status}}, "
            "{manager: kubectl-client-side-apply}, {manager: other}]}"
        ),
        Owner(tool=Tool.KUBECTL),
        "kubectl apply",
        "kubectl delete -f FILE, with the manifests that were applied",
    ),
    "another tool, before whoever edits its objects": (
        "managedFields: [{manager: pilot-discovery}, {manager: kubectl-edit}, {manager: Terraform}]",
        Owner(tool=Tool.OTHER, name="Terraform"),
        "Terraform (its field manager)",
        "",
    ),
    "the only field manager there is": (
        "managedFields: [{manager: kubectl-edit}]",
        Owner(tool=Tool.OTHER, name="kubectl-edit"),
        "kubectl-edit (its field manager)",
        "",
    ),
    "what the charts render, and nobody's": (f"labels: {{{RENDERED}}}", Owner(tool=Tool.NOBODY), "somebody else", ""),
    "nothing": ("{}", Owner(tool=Tool.NOBODY), "somebody else", ""),
}


@pytest.mark.parametrize(("metadata", "owner", "words", "removal"), OWNERS.values(), ids=OWNERS)
def test_the_owner_of_an_object(metadata: str, owner: Owner, words: str, removal: str) -> None:
    read: dict[str, Any] = yaml.safe_load(metadata)
    found = owner_of({"metadata": {"name": "x", **read}})
    assert (found, str(found), found.removal) == (owner, words, removal)
    assert removal in found.way_on
    assert found.way_on.startswith("Continue with ")


def test_an_object_without_metadata_is_nobodys() -> None:
    assert owner_of({}) == Owner(tool=Tool.NOBODY)
