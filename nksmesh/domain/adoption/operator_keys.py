"""An IstioOperator's single settings, and which key of the charts' values stands for which of them.

Sources: istio-facts 3 and 4 (the profiles, and what istioctl makes of them), the values.yaml and the templates of the
charts 1.19.0 to 1.20.1, and what istioctl patches rendered objects with (operator/pkg/translate at 1.20.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nksmesh.domain.adoption.takeover import BALANCER
from nksmesh.domain.values.layers import Path

SIDES: Final[Mapping[str, str]] = {"ingressGateways": "istio-ingressgateway", "egressGateways": "istio-egressgateway"}
"""The two lists of gateways, and where ``values.gateways`` has what is said of all of one list."""

VARIANTS: Final = frozenset({"distroless", "debug"})
"""What Istio's images are built as, beside the plain ones; the charts put it behind the tag (istio-facts 2.1)."""

PROFILES: Final[Mapping[Path, Any]] = {
    ("values", "defaultRevision"): "",
    ("values", "global", "configValidation"): True,
    ("values", "global", "useMCP"): False,
    ("values", "global", "proxy_init", "resources", "limits", "cpu"): "2000m",
    ("values", "global", "proxy_init", "resources", "limits", "memory"): "1024Mi",
    ("values", "global", "proxy_init", "resources", "requests", "cpu"): "10m",
    ("values", "global", "proxy_init", "resources", "requests", "memory"): "10Mi",
    ("values", "pilot", "enableProtocolSniffingForOutbound"): True,
    ("values", "pilot", "enableProtocolSniffingForInbound"): True,
    **{
        ("values", "gateways", f"istio-{side}gateway", "secretVolumes"): [
            {"name": name, "secretName": f"istio-{name}", "mountPath": f"/etc/istio/{name}"}
            for name in (f"{side}gateway-certs", f"{side}gateway-ca-certs")
        ]
        for side in ("ingress", "egress")
    },
}
"""What istioctl's own profiles say of the charts, and our profiles mean to leave out, or no chart reads any more."""

DECIDED: Final = frozenset(
    {
        ("profile",),
        ("namespace",),
        ("revision",),
        ("values", "revision"),
        ("values", "global", "istioNamespace"),
        ("values", "global", "imagePullSecrets"),
    }
)
"""What the mesh itself is resolved from, and so needs no value."""

_SAME: Final = ("resources", "replicaCount", "env", "nodeSelector", "affinity", "tolerations", "podAnnotations")

PILOT: Final[Mapping[Path, Path]] = {
    **{(key,): ("pilot", key) for key in (*_SAME, "serviceAnnotations", "volumes", "volumeMounts")},
    ("hpaSpec", "minReplicas"): ("pilot", "autoscaleMin"),
    ("hpaSpec", "maxReplicas"): ("pilot", "autoscaleMax"),
    ("hpaSpec", "behavior"): ("pilot", "autoscaleBehavior"),
    ("hpaSpec", "metrics", "cpu"): ("pilot", "cpu", "targetAverageUtilization"),
    ("hpaSpec", "metrics", "memory"): ("pilot", "memory", "targetAverageUtilization"),
    ("strategy", "rollingUpdate", "maxSurge"): ("pilot", "rollingMaxSurge"),
    ("strategy", "rollingUpdate", "maxUnavailable"): ("pilot", "rollingMaxUnavailable"),
    ("priorityClassName",): ("global", "priorityClassName"),
}
"""From ``components.pilot.k8s`` to what the chart istiod reads."""

_SCALING: Final[Mapping[Path, Path]] = {
    ("cpu",): ("autoscaling", "targetCPUUtilizationPercentage"),
    ("memory",): ("autoscaling", "targetMemoryUtilizationPercentage"),
}

GATEWAY_K8S: Final[Mapping[Path, Path]] = {
    **{(key,): (key,) for key in (*_SAME, "podDisruptionBudget", "priorityClassName", "imagePullPolicy")},
    **{(key,): (key,) for key in ("securityContext", "service", "strategy", "volumes", "volumeMounts")},
    ("hpaSpec", "minReplicas"): ("autoscaling", "minReplicas"),
    ("hpaSpec", "maxReplicas"): ("autoscaling", "maxReplicas"),
    ("hpaSpec", "behavior"): ("autoscaling", "autoscaleBehavior"),
    **{("hpaSpec", "metrics", *path): to for path, to in _SCALING.items()},
    ("label",): ("labels",),
}
"""From ``k8s`` of a gateway, and its ``label``, to what the gateway chart reads."""

GATEWAY_VALUES: Final[Mapping[Path, Path]] = {
    **{(key,): (key,) for key in (*_SAME, "topologySpreadConstraints")},
    ("autoscaleEnabled",): ("autoscaling", "enabled"),
    ("autoscaleMin",): ("autoscaling", "minReplicas"),
    ("autoscaleMax",): ("autoscaling", "maxReplicas"),
    ("autoscaleBehavior",): ("autoscaling", "autoscaleBehavior"),
    **{(*path, "targetAverageUtilization"): to for path, to in _SCALING.items()},
    ("serviceAccount", "annotations"): ("serviceAccount", "annotations"),
    ("labels",): ("labels",),
}
"""From ``values.gateways.istio-ingressgateway`` and ``istio-egressgateway`` to what the gateway chart reads."""

OF_GLOBAL: Final[Mapping[str, str]] = {
    "defaultNodeSelector": "nodeSelector",
    "defaultTolerations": "tolerations",
    "imagePullPolicy": "imagePullPolicy",
    "priorityClassName": "priorityClassName",
}
"""Keys of ``values.global`` that istioctl's gateway charts read, and the gateway chart has at its root."""

KEPT: Final = frozenset(
    {
        *(
            ("name",),
            ("serviceAnnotations",),
            ("hpaSpec", "scaleTargetRef"),
        ),
        *((key, label) for key in ("label", "labels") for label in ("app", "istio")),
        *((key,) for key in (*BALANCER, "ports")),
        *(("service", key) for key in (*BALANCER, "ports")),
    }
)
"""What is kept of a gateway as it is in the cluster, whatever was said of it (takeover.service_values)."""

ENV_OF_ISTIOD: Final = frozenset(
    {"REVISION", "JWT_POLICY", "PILOT_CERT_PROVIDER", "POD_NAME", "POD_NAMESPACE", "SERVICE_ACCOUNT", "KUBECONFIG"}
) | {"PILOT_ENABLE_ANALYSIS", "GOMEMLIMIT", "GOMAXPROCS", "PLATFORM"}
"""Variables that the chart istiod sets itself: a second one of the name would be refused."""


def settings_of(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield each setting with its path, the weaker first: what patches rendered objects outdoes values.

    A gateway is a part of the path by its name, and so is a variable; one that was not enabled was never made.
    """
    order = ("values", "unvalidatedValues", "meshConfig", "components")
    for key in sorted(spec, key=lambda name: order.index(name) if name in order else -1):
        yield from _below((key,), spec[key])


def _below(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    match path:
        case ("components", side) if side in SIDES and _all_maps(value):
            for gateway in value:
                if gateway.get("enabled") is not False:  # else nothing of it was ever made
                    rest = {key: inner for key, inner in gateway.items() if key not in {"name", "namespace", "enabled"}}
                    yield from _below((*path, str(gateway.get("name") or SIDES[side])), rest)
            return
        case (*_, "k8s", "env") if _all_maps(value):
            for variable in value:
                yield (*path, str(variable.get("name"))), variable.get("valueFrom") or str(variable.get("value", ""))
            return
        case (*_, "hpaSpec", "metrics") if utilization := _utilization(value):
            yield from (((*path, name), percent) for name, percent in utilization.items())
            return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below((*path, key), inner)
    else:
        yield path, value


def _utilization(metrics: Any) -> dict[str, Any]:
    """Read metrics of a HorizontalPodAutoscaler as percents by resource; none where they say anything else."""
    found: dict[str, Any] = {}
    for metric in metrics if _all_maps(metrics) else ():
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        percent = target.get("averageUtilization") or resource.get("targetAverageUtilization")
        if metric.get("type") != "Resource" or resource.get("name") not in {"cpu", "memory"} or not percent:
            return {}
        found[resource["name"]] = percent
    return found


def _all_maps(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)
