"""A mesh that istioctl made: what it is, what is taken over of it, and what is left behind.

istioctl applies objects server-side as field manager ``istio-operator``; ``istioctl manifest generate`` into
``kubectl apply`` leaves kubectl's. Every object has a label that names its component (istio-facts 3, 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import fields_of, named
from nksmesh.domain.kube.objects import (
    HELM_MANAGER,
    RELEASE_NAME,
    Manifest,
    ObjectRef,
    managers_of,
    pod_template,
    with_helm_marks,
)
from nksmesh.domain.kube.owners import ISTIOCTL_MANAGERS, KUBECTL_MANAGERS, Tool, owner_of

FORMER_MANAGERS: Final = (*ISTIOCTL_MANAGERS, *KUBECTL_MANAGERS)
"""Field managers that istioctl, or kubectl with what istioctl wrote, leaves on objects."""


COMPONENT_LABEL: Final = "operator.istio.io/component"
GATEWAY_COMPONENTS: Final[Mapping[str, str]] = {
    "IngressGateways": "ingressGateways",
    "EgressGateways": "egressGateways",
}
"""A gateway's component, and the list of the IstioOperator that it comes from."""

TAKEN_COMPONENTS: Final = frozenset({*GATEWAY_COMPONENTS, "Pilot", "Base"})
"""The components that nksmesh installs, too; what istioctl made of others (Cni, Ztunnel) is left alone."""

OPERATOR_API: Final = "install.istio.io/v1alpha1"

LEAVABLE: Final = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("policy/v1", "PodDisruptionBudget"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
)
"""What istioctl makes and the charts may not. Nothing that runs or has an address is ever left over."""

BALANCER: Final = ("type", "loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy", "externalIPs")
"""What of a gateway's Service its address hangs on, beside its ports and annotations."""

SELECTOR: Final = "spec.selector"
"""The path among an object's changes that no object can change."""

_TAG: Final = "istio.io/tag"
_RELEASE_OF_ISTIOCTL: Final = "istio"
"""The release name that istioctl renders with; `helm template` renders with a user's, istiod as a rule."""

_UNTOLD: Final = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
_PORT: Final = ("name", "port", "protocol", "targetPort")


@dataclass(frozen=True, kw_only=True)
class TakenObject:
    """An object that becomes a Helm release's.

    Attributes:
        release: The release's name.
        owner: Whose it is, in words.
        managers: The field managers whose fields are taken.
        changes: What changes in it, as paths.
    """

    ref: ObjectRef = field(metadata=named("object"))
    release: str
    owner: str
    managers: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and what becomes of the object and its pods."""
        return fields_of(self) | {"replaces_pods": self.replaces_pods, "made_anew": self.made_anew}

    @property
    def replaces_pods(self) -> bool:
        """Whether its pods are made anew."""
        return any(path.startswith("spec.template.") for path in self.changes)

    @property
    def made_anew(self) -> bool:
        """Whether it is made anew under its name: its pods stay, and the new one rolls them over."""
        return SELECTOR in self.changes


def of_istioctl(live: Manifest) -> bool:
    """Tell an object that istioctl, or kubectl with what istioctl wrote, made of a component of ours.

    One that has Helm's manager and not its marks is half taken over: whoever did that was stopped in between.
    """
    tool = owner_of(live).tool
    labels = (live.get("metadata") or {}).get("labels") or {}
    of_a_chart = tool is Tool.KUBECTL and labels.get("release", _RELEASE_OF_ISTIOCTL) != _RELEASE_OF_ISTIOCTL
    if tool in {Tool.HELM, Tool.FLUX, Tool.ARGO, Tool.CONTROLLER} or of_a_chart:
        return False
    component = labels.get(COMPONENT_LABEL, "")
    held = bool(former_managers(live)) or HELM_MANAGER in managers_of(live)
    return held and (component in TAKEN_COMPONENTS or not component)


def former_managers(live: Manifest) -> tuple[str, ...]:
    """Name the field managers of an object that are istioctl's or kubectl's."""
    entries = (live.get("metadata") or {}).get("managedFields") or ()
    names = (str(entry.get("manager")) for entry in entries if not entry.get("subresource"))
    return tuple(dict.fromkeys(name for name in names if name in FORMER_MANAGERS))


def renamed_managers(live: Manifest, manager: str) -> list[dict[str, Any]]:
    """Return an object's managedFields with istioctl's and kubectl's entries as one of another manager's.

    What that manager applies next then prunes whatever they had beside it, as if it had applied theirs itself.
    """
    entries = list((live.get("metadata") or {}).get("managedFields") or ())
    taken = [entry for entry in entries if _is_taken(entry, manager)]
    if not taken:
        return [dict(entry) for entry in entries]
    fields = _derived_defaults(live)
    for entry in taken:
        fields = _union(fields, entry.get("fieldsV1") or {})
    own = {**taken[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [own, *(dict(entry) for entry in entries if entry not in taken)]


def owned_paths(live: Manifest) -> Mapping[str, Any]:
    """Return the fields of an object that istioctl and kubectl hold, as managedFields writes them."""
    fields: dict[str, Any] = {}
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") in FORMER_MANAGERS and not entry.get("subresource"):
            fields = _union(fields, entry.get("fieldsV1") or {})
    return fields


def owned_manifest(manifest: Manifest, release: Release) -> dict[str, Any]:
    """Mark a rendered object as Helm marks what it owns, and say where it goes."""
    return {**manifest, "metadata": with_helm_marks(manifest.get("metadata") or {}, release)}


def service_values(live: Manifest, under: Mapping[str, Any]) -> dict[str, Any]:
    """Say which values keep a gateway's Service as istioctl made it: its ports, and all that its address hangs on.

    Args:
        under: The chart's own defaults and our layers for it.
    """
    spec, owned = live.get("spec") or {}, owned_paths(live)
    fields, annotated = owned.get("f:spec") or {}, (owned.get("f:metadata") or {}).get("f:annotations") or {}
    wanted: dict[str, Any] = {key: spec[key] for key in BALANCER if f"f:{key}" in fields and key in spec}
    if wanted.get("externalTrafficPolicy") == "Cluster":  # Kubernetes' own default
        del wanted["externalTrafficPolicy"]
    annotations = {
        key: text
        for key, text in ((live.get("metadata") or {}).get("annotations") or {}).items()
        if f"f:{key}" in annotated and key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    below = under.get("service") or {}
    kept = {key: value for key, value in wanted.items() if value != below.get(key)}
    if new := {key: text for key, text in annotations.items() if (below.get("annotations") or {}).get(key) != text}:
        kept["annotations"] = new
    ports = [_port(port) for port in spec.get("ports") or ()]
    if ports and sorted(map(str, ports)) != sorted(str(_port(port)) for port in below.get("ports") or ()):
        kept["ports"] = ports
    return {"service": kept} if kept else {}


def selector_values(live: Manifest, name: str, under: Mapping[str, Any]) -> dict[str, Any] | None:
    """Say which values keep the labels that a gateway's Deployment selects its pods by; None where no values can.

    The chart selects by ``app`` and ``istio`` alone. With other labels, too, the pods keep them, and the Deployment is
    made anew: what it selects by cannot change (``selects_otherwise``). Without those two on its pods it cannot be.
    """
    spec = live.get("spec") or {}
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    labels = under.get("labels") or {}
    rendered = {
        "app": labels.get("app") or name,
        "istio": labels.get("istio") or name.removeprefix("istio-"),
    }
    if selector == rendered:
        return {}
    if set(selector) == set(rendered):
        return {"labels": dict(selector)}
    on_pods = (pod_template(live).get("metadata") or {}).get("labels") or {}
    if not set(rendered) <= set(on_pods) or (spec.get("selector") or {}).get("matchExpressions"):
        return None
    wanted = {**{key: on_pods[key] for key in rendered}, **selector}
    kept = {key: value for key, value in wanted.items() if {**labels, **rendered}.get(key) != value}
    return {"labels": kept} if kept else {}


def selects_otherwise(live: Manifest, manifest: Manifest) -> bool:
    """Tell a Deployment that is to select its pods by other labels, which no Deployment that exists can."""
    if manifest.get("kind") != "Deployment":
        return False
    current, wanted = ((some.get("spec") or {}).get("selector") or {} for some in (live, manifest))
    return current != wanted


def changed_paths(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Name what differs between two states of an object; the items of lists by their names."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            if path in {"", "metadata"} and key in {*_UNTOLD, "status"}:
                continue
            yield from changed_paths(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif (named := _by_name(before)) is not None and (keyed := _by_name(after)) is not None:
        yield from changed_paths(named, keyed, path)
    elif before != after:
        yield path


def left_over(live: Iterable[Manifest], wanted: Iterable[ObjectRef], refs: Iterable[ObjectRef]) -> list[ObjectRef]:
    """Name what istioctl made and no release has.

    Args:
        live: What istioctl labelled.
        wanted: What the mesh's releases have.
        refs: The names of ``live``, in its order.
    """
    having = {(ref.kind, ref.namespace, ref.name) for ref in wanted}
    return [
        ref
        for manifest, ref in zip(live, refs, strict=True)
        if of_istioctl(manifest) and (ref.kind, ref.namespace, ref.name) not in having
    ]


def is_default_tag(live: Manifest) -> bool:
    """Tell the webhook of the revision tag ``default`` that istioctl made.

    While it is there, istioctl has the injector's own webhook deactivated; the chart's is active again.
    """
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    return labels.get(_TAG) == "default" and RELEASE_NAME not in (metadata.get("annotations") or {})


def _derived_defaults(live: Manifest) -> dict[str, Any]:
    """Claim what the API server once derived from istioctl's fields, so that it is derived anew from the chart's.

    A container's pull policy comes from its image's tag: what ``proxyv2:1.20.0`` was given would stay on ``auto``.
    """
    policies: dict[str, Any] = {
        f'k:{{"name":"{container["name"]}"}}': {"f:imagePullPolicy": {}}
        for container in (pod_template(live).get("spec") or {}).get("containers") or ()
    }
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": policies}}}} if policies else {}


def _is_taken(entry: Mapping[str, Any], manager: str) -> bool:
    if entry.get("subresource"):
        return False
    own = entry.get("manager") == manager and entry.get("operation") == "Apply"
    return own or entry.get("manager") in FORMER_MANAGERS


def _union(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _union(first.get(key) or {}, second.get(key) or {}) for key in {**first, **second}}


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"protocol": "TCP", "targetPort": port.get("port"), **port}
    return {key: whole[key] for key in _PORT if key in whole}


def _by_name(items: Any) -> dict[str, Any] | None:
    if (
        not isinstance(items, list)
        or not items
        or not all(isinstance(entry, Mapping) and entry.get("name") for entry in items)
    ):
        return None
    return {str(entry["name"]): entry for entry in items}
