"""Istio's add-ons: their files, what each runs as, and the rules of what is installed and exposed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.domain.addons.dashboards import DASHBOARDS
from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef, containers, pod_template
from nksmesh.domain.kube.services import selector_of, tcp_ports
from nksmesh.domain.mesh.load_balancer import load_balancer_values
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.samples.object_set import SAMPLE_LABEL, ObjectSet

_RBAC: Final = "rbac.authorization.k8s.io/v1"
_KINDS: Final = (
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    (_RBAC, "ClusterRole"),
    (_RBAC, "ClusterRoleBinding"),
    (_RBAC, "Role"),
    (_RBAC, "RoleBinding"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
)
_ANONYMOUS: Final = "anonymous"
KIALI: Final = "kiali"
PROMETHEUS: Final = "prometheus"


@dataclass(frozen=True, kw_only=True)
class Addon(ObjectSet):
    """One of Istio's add-ons, whose files are written for the namespace istio-system.

    Attributes:
        workload: The kind of what runs it, which has the add-on's name.
    """

    workload: str = "Deployment"

    @property
    def ref(self) -> ObjectRef:
        """What runs it."""
        return ObjectRef("apps/v1", self.workload, self.name, ISTIO_NAMESPACE)

    @property
    def service(self) -> ObjectRef | None:
        """The Service of its pages; None where it has none."""
        dashboard = DASHBOARDS.get(self.name)
        return ObjectRef("v1", "Service", dashboard.service, ISTIO_NAMESPACE) if dashboard else None


def _addon(name: str, workload: str = "Deployment") -> Addon:
    return Addon(
        name=name,
        folder="addons",
        files=(f"{name}.yaml",),
        kinds=_KINDS,
        removal=f"nksmesh addons remove {name}",
        movable=False,
        workload=workload,
    )


ADDONS: Final[Mapping[str, Addon]] = {
    addon.name: addon
    for addon in (
        _addon(PROMETHEUS),
        _addon("grafana"),
        _addon("jaeger"),
        _addon("loki", "StatefulSet"),
        _addon(KIALI),
    )
}
"""The add-ons of Istio's samples/addons (1.19 to 1.30)."""


def addons_of(names: Iterable[str]) -> tuple[Addon, ...]:
    """Return add-ons by their names, each once.

    Raises:
        ConfigError: There is no such add-on.
    """
    wanted = tuple(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in ADDONS]:
        raise ConfigError(
            f"{', '.join(unknown)} is no add-on of Istio's samples", hint=f"The add-ons are {', '.join(ADDONS)}."
        )
    return tuple(ADDONS[name] for name in wanted)


def check_place(namespace: str, found: Manifest | None) -> Iterator[Finding]:
    """Judge the namespace that add-ons are to be in: a failure where it is another one, not there, or goes.

    Args:
        namespace: The one that was asked for.
        found: The namespace istio-system as it is.
    """
    if namespace not in {"", ISTIO_NAMESPACE}:
        yield Finding(
            id="addons.other-namespace",
            message=f"the files of Istio's add-ons are written for namespace {ISTIO_NAMESPACE}, not for {namespace}",
            hint="Leave out -n, or change the files and apply them with kubectl.",
            error=ConfigError,
        )
    elif found is None:
        yield Finding(
            id="addons.missing-namespace",
            message=f"there is no namespace {ISTIO_NAMESPACE}",
            hint="Install a mesh first: nksmesh install.",
            error=ConfigError,
        )
    elif found.get("metadata", {}).get("deletionTimestamp"):
        yield Finding(
            id="addons.ending-namespace",
            message=f"namespace {ISTIO_NAMESPACE} is being deleted, with everything in it",
            hint=f"Wait until it is gone: kubectl wait --for=delete namespace/{ISTIO_NAMESPACE}.",
            error=ClusterError,
        )


def check_sources(names: Collection[str], prometheus: Manifest | None) -> Iterator[Finding]:
    """Find a Kiali that would show nothing: it reads everything from Prometheus.

    Args:
        names: The add-ons that are installed.
        prometheus: The Service prometheus as it is.
    """
    if KIALI in names and PROMETHEUS not in names and prometheus is None:
        yield Finding(
            id="addons.no-prometheus",
            level=Level.WARNING,
            subject=KIALI,
            message=f"there is no Service {PROMETHEUS} in namespace {ISTIO_NAMESPACE}: Kiali will show no traffic",
            hint="Run nksmesh addons install prometheus.",
        )


def check_kept_volumes(addon: Addon, claims: Iterable[str]) -> Iterator[Finding]:
    """Name the volumes that stay when an add-on is removed: Kubernetes made them, and they have data.

    Args:
        claims: The names of the PersistentVolumeClaims in the namespace.
    """
    kept = [claim for claim in claims if claim.rpartition("-")[0].endswith(f"-{addon.name}")]
    if addon.workload == "StatefulSet" and kept:
        yield Finding(
            id="addons.kept-volumes",
            level=Level.WARNING,
            subject=addon.name,
            message=f"the volumes of {addon.name} stay, with their data: {', '.join(kept)}",
            hint=f"To delete them, run kubectl delete pvc -n {ISTIO_NAMESPACE} {' '.join(kept)}.",
        )


def check_public(addon: Addon, settings: Mapping[str, Any] | None, workload: Manifest | None) -> Iterator[Finding]:
    """Judge a public load balancer of an add-on: a failure where everyone on the internet could use it.

    Args:
        settings: Kiali's settings; None where they cannot be read.
        workload: What runs the add-on.
    """
    hint = f"Leave out --public, or use nksmesh dashboard {addon.name}."
    match addon.name:
        case "kiali":
            strategy = None if settings is None else str((settings.get("auth") or {}).get("strategy") or "")
            if strategy is None:
                message = "the ConfigMap of Kiali does not say how people log in"
            elif strategy == _ANONYMOUS:
                message = "Kiali lets everyone in without a login: auth.strategy is anonymous"
            else:
                return
            hint = f"Set auth.strategy of Kiali to token or openid first. {hint}"
        case "grafana":
            env = [entry for box in containers(pod_template(workload or {})) for entry in box.get("env") or ()]
            anonymous = [entry.get("value") for entry in env if entry.get("name") == "GF_AUTH_ANONYMOUS_ENABLED"]
            if "true" not in anonymous:
                return
            message = "Grafana lets everyone in without a login: GF_AUTH_ANONYMOUS_ENABLED is true"
            hint = f"Set it to false in Deployment grafana first. {hint}"
        case _:
            message = f"{addon.name} has no login at all"
    yield Finding(
        id="addons.open-to-everyone",
        subject=addon.name,
        message=f"{message}, so everyone on the internet could use it; nothing was changed",
        hint=hint,
    )


def exposing_ref(addon: Addon) -> ObjectRef | None:
    """Name the Service of type LoadBalancer that leads to an add-on's pages; None where it has none."""
    service = addon.service
    return replace(service, name=f"{service.name}-load-balancer") if service else None


def check_exposable(addon: Addon, service: Manifest | None) -> Iterator[Finding]:
    """Judge whether an add-on has pages that a load balancer can lead to: a failure where not.

    Args:
        service: Its Service as it is.
    """
    if addon.service is None:
        yield Finding(
            id="addons.no-page",
            subject=addon.name,
            message=f"{addon.name} has no page that could be exposed",
            hint=f"Expose one of {', '.join(DASHBOARDS)}.",
            error=ConfigError,
        )
    elif service is None or not tcp_ports(service) or not selector_of(service):
        problem = "does not exist" if service is None else "has no TCP port or selects no pods"
        yield Finding(
            id="addons.no-service",
            subject=addon.name,
            message=f"{addon.service} {problem}",
            hint=f"Run nksmesh addons install {addon.name} first.",
            error=ConfigError,
        )


def exposing_service(addon: Addon, service: Manifest, *, public: bool) -> dict[str, Any]:
    """Make the Service of type LoadBalancer that leads to an add-on's pages.

    It is a Service of its own: the add-on's stays as it is, and removing this one takes the address away.

    Args:
        service: The add-on's Service, which ``check_exposable`` has nothing against.
        public: It gets a public address; else one of the VPC.
    """
    ref, page = exposing_ref(addon), tcp_ports(service)[0]
    annotations = {} if public else load_balancer_values({"internal": True})["service"]["annotations"]
    port = {"name": page.name or "http", "protocol": "TCP", "port": page.number, "targetPort": page.target}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": ref.name if ref else "",
            "namespace": ISTIO_NAMESPACE,
            "labels": {SAMPLE_LABEL: addon.name},
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": {"type": "LoadBalancer", "selector": selector_of(service), "ports": [port]},
    }
