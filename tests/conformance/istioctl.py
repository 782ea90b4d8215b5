"""A stand-in for ``istioctl install`` 1.19 and 1.20: what it leaves in a cluster, without the program.

istioctl cannot be had where these tests run. base and istiod are what istioctl renders from the same templates as the
real charts, with its profile's values; the gateways are written by hand after its own charts gateways/istio-ingress
and istio-egress, which are not published: explicit proxy image, args, env and volumes, the NKS guide's names, and
``sidecar.istio.io/inject: "false"``. Everything has istioctl's labels, and is applied server-side as
``istio-operator``. Then comes what istioctl does last: the revision tag ``default``, with the injector's own webhook
switched off beside it, the default validator, and the IstioOperator ``installed-state``, which has the whole profile in
it, keys of charts from long ago included, and over it what the user said.

``beside`` is what a second ``istioctl install -f`` was told, of profile empty: gateways of its own, which are labelled
with the IstioOperator ``installed-state-team``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nksmesh.adapters.files.documents import read_document
from nksmesh.domain.values.layers import merge
from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import ROOT
from tests.cluster.reader import Reader

Object = dict[str, Any]

MANAGER = "istio-operator"
TEAM = "installed-state-team"
SYSTEM = "istio-system"
NEVER = {"matchLabels": {"istio.io/deactivated": "never-match"}}

PLURALS = {
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "IstioOperator": "istiooperators",
    "PodDisruptionBudget": "poddisruptionbudgets",
}
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "Namespace",
    "ValidatingWebhookConfiguration",
}
PORTS = {
    "status-port": (15021, 15021),
    "http2": (80, 8080),
    "https": (443, 8443),
    "tcp": (31400, 31400),
    "tls": (15443, 15443),
}
GATEWAYS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "default": {"istio-ingressgateway": ("LoadBalancer", ("status-port", "http2", "https"))},
    "demo": {
        "istio-ingressgateway": ("LoadBalancer", tuple(PORTS)),
        "istio-egressgateway": ("ClusterIP", ("http2", "https")),
    },
}


@dataclass(frozen=True, kw_only=True)
class Istioctl:
    """``istioctl install --set profile=PROFILE --set hub=HUB``.

    Attributes:
        cluster: Where to.
        helm: What renders.
        charts: The folder of Istio's charts.
        version: The Istio version.
        profile: default or demo.
        hub: The registry.
        told: What else it is told, as the spec of an IstioOperator has it.
        sets: The same for the chart istiod, as ``helm --set`` has it.
        beside: The spec of a second IstioOperator, whose ingress gateways are made, too.
    """

    cluster: Reader
    helm: PlainHelm
    charts: Path
    version: str
    profile: str
    hub: str
    told: Object = field(default_factory=dict)
    sets: str = ""
    beside: Object = field(default_factory=dict)

    def install(self) -> None:
        """Make the mesh, and wait until it runs."""
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        for one in self._of_chart("base", "Base", "--include-crds", "--set", "defaultRevision="):
            self._apply(one)
        self.cluster.until(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            lambda found: bool(found) and all("conditions" in (one.get("status") or {}) for one in found),
        )
        for one in self._of_chart("istiod", "Pilot", *self._istiod_values()):
            self._apply(one)
        for name, (kind, ports) in GATEWAYS[self.profile].items():
            component = "IngressGateways" if "ingress" in name else "EgressGateways"
            for one in self._gateway(name, kind, ports, component):
                self._apply(one)
        for name in ("istiod", *GATEWAYS[self.profile]):
            self.cluster.until(
                f"/apis/apps/v1/namespaces/{SYSTEM}/deployments",
                lambda found: [one["status"].get("availableReplicas") for one in found] == [1],
                fieldSelector=f"metadata.name={name}",
            )
        self._make_default()
        state = merge(_kept_state(self.profile, self.version), {"hub": self.hub, **self.told})
        self._apply(
            {
                "apiVersion": "install.istio.io/v1alpha1",
                "kind": "IstioOperator",
                "metadata": {"name": "installed-state"},
                "spec": state,
            }
        )
        if self.beside:
            self._install_beside()

    def _install_beside(self) -> None:
        """Make the second IstioOperator's gateways, each with its HorizontalPodAutoscaler as it was told."""
        for gateway in self.beside["components"]["ingressGateways"]:
            name, namespace = gateway["name"], gateway["namespace"]
            self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            made = self._gateway(name, "ClusterIP", ("status-port", "http2"), "IngressGateways", namespace)
            for one in made:
                one["metadata"]["labels"]["install.operator.istio.io/owning-resource"] = TEAM
                if one["kind"] == "HorizontalPodAutoscaler":
                    one["spec"] |= gateway["k8s"]["hpaSpec"]
                self._apply(one)
            self.cluster.until(
                f"/apis/apps/v1/namespaces/{namespace}/deployments",
                lambda found: [bool(one["status"].get("availableReplicas")) for one in found] == [True],
                fieldSelector=f"metadata.name={name}",
            )
        kept = _kept_state("default", self.version)
        for side in ("ingressGateways", "egressGateways"):
            kept["components"][side] = [{**component, "enabled": False} for component in kept["components"][side]]
        off = {name: {"enabled": False} for name in ("base", "pilot")}
        state = merge(merge(kept, {"profile": "empty", "components": off}), {"hub": self.hub, **self.beside})
        api = "install.istio.io/v1alpha1"
        self._apply({"apiVersion": api, "kind": "IstioOperator", "metadata": {"name": TEAM}, "spec": state})

    def _of_chart(self, chart: str, component: str, *options: str) -> list[Object]:
        archive = str(self.charts / f"{chart}-{self.version}.tgz")
        rendered = self.helm.rendered_plainly("istio", archive, "--kube-version", "v1.28.15", *options)
        # what others refer to comes first
        order = ["CustomResourceDefinition", "ServiceAccount", "ConfigMap", "ClusterRole", "Role"]
        rendered.sort(key=lambda one: order.index(one["kind"]) if one["kind"] in order else len(order))
        return [self._labelled(one, component) for one in rendered]

    def _istiod_values(self) -> list[str]:
        options = ["--set", f"global.hub={self.hub},global.tag={self.version},global.configValidation=true"]
        if self.profile == "demo":
            # the very values that istio-facts 3 derives from istioctl's profile
            file = ROOT / "values" / "profiles" / "demo" / "istiod.yaml"
            assert read_document(file).values["pilot"]["autoscaleEnabled"] is False
            options += ["--values", str(file)]
        return [*options, "--set", self.sets] if self.sets else options

    def _labelled(self, one: Object, component: str) -> Object:
        labels = {
            "install.operator.istio.io/owning-resource": "installed-state",
            "install.operator.istio.io/owning-resource-namespace": SYSTEM,
            "operator.istio.io/component": component,
            "operator.istio.io/managed": "Reconcile",
            "operator.istio.io/version": self.version,
            "release": "istio",
        }
        metadata = {**one["metadata"], "labels": {**(one["metadata"].get("labels") or {}), **labels}}
        return {**one, "metadata": metadata}

    def _apply(self, one: Object) -> Object:
        return self.cluster.apply(path_of(one), one, MANAGER)

    def _make_default(self) -> None:
        """Point the revision tag ``default`` at this istiod, as istioctl does when everything else is there."""
        webhooks = "/apis/admissionregistration.k8s.io/v1"
        injector = f"{webhooks}/mutatingwebhookconfigurations/istio-sidecar-injector"
        self.cluster.until(
            f"{webhooks}/mutatingwebhookconfigurations",
            lambda found: all(hook["clientConfig"].get("caBundle") for one in found for hook in one["webhooks"]),
        )
        standing = self.cluster.get(injector)
        tag = self._labelled({"metadata": {"labels": standing["metadata"]["labels"]}}, "Pilot")["metadata"]["labels"]
        self.cluster.post(
            f"{webhooks}/mutatingwebhookconfigurations?fieldManager=istioctl",
            {
                "metadata": {"name": "istio-revision-tag-default", "labels": {**tag, "istio.io/tag": "default"}},
                "webhooks": standing["webhooks"],
            },
        )
        off = [{**hook, "namespaceSelector": NEVER, "objectSelector": NEVER} for hook in standing["webhooks"]]
        self.cluster.merge(f"{injector}?fieldManager=istioctl", {"webhooks": off})
        (validator,) = [
            one for one in self._of_chart("base", "Pilot") if one["kind"] == "ValidatingWebhookConfiguration"
        ]
        self.cluster.post(f"{webhooks}/validatingwebhookconfigurations?fieldManager=istioctl", validator)

    def _gateway(
        self, name: str, kind: str, ports: tuple[str, ...], component: str, namespace: str = SYSTEM
    ) -> list[Object]:
        listed = self.told.get("components", {}).get(f"{component[0].lower()}{component[1:]}", ())
        own: dict[str, str] = next((one.get("label", {}) for one in listed if one["name"] == name), {})
        labels = {"app": name, "istio": name.removeprefix("istio-"), **own}
        account = f"{name}-service-account"

        def made(api: str, kind: str, name: str, **content: Any) -> Object:
            metadata = {"name": name, "namespace": namespace, "labels": {**labels, "istio.io/rev": "default"}}
            return self._labelled({"apiVersion": api, "kind": kind, "metadata": metadata, **content}, component)

        rbac = "rbac.authorization.k8s.io/v1"
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}
        subject = {"kind": "ServiceAccount", "name": account}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{name}-sds"}
        served = [
            {"name": port, "port": PORTS[port][0], "protocol": "TCP", "targetPort": PORTS[port][1]} for port in ports
        ]
        demo = self.profile == "demo"
        requests = {"cpu": "10m", "memory": "40Mi"} if demo else {"cpu": "100m", "memory": "128Mi"}
        objects = [
            made("v1", "ServiceAccount", account),
            made(rbac, "Role", f"{name}-sds", rules=[rule]),
            made(rbac, "RoleBinding", f"{name}-sds", roleRef=role, subjects=[subject]),
            made(
                "policy/v1", "PodDisruptionBudget", name, spec={"minAvailable": 1, "selector": {"matchLabels": labels}}
            ),
            made("v1", "Service", name, spec={"type": kind, "selector": labels, "ports": served}),
            made("apps/v1", "Deployment", name, spec=self._deployment(name, component, labels, ports, requests)),
        ]
        if not demo:
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
            scale = {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": target}
            metrics = [{"type": "Resource", "resource": cpu}]
            objects.append(made("autoscaling/v2", "HorizontalPodAutoscaler", name, spec={**scale, "metrics": metrics}))
        return objects

    def _deployment(
        self, name: str, component: str, labels: dict[str, str], ports: tuple[str, ...], requests: dict[str, str]
    ) -> Object:
        empty = ("workload-socket", "credential-socket", "workload-certs", "istio-envoy", "istio-data")
        container = {
            "name": "istio-proxy",
            "image": f"{self.hub}/proxyv2:{self.version}",
            "args": [
                *("proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local"),
                *("--proxyLogLevel=warning", "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info"),
            ],
            "ports": [
                *({"containerPort": PORTS[port][1], "protocol": "TCP"} for port in ports),
                {"containerPort": 15090, "protocol": "TCP", "name": "http-envoy-prom"},
            ],
            "env": [
                {"name": "PILOT_CERT_PROVIDER", "value": "istiod"},
                {"name": "CA_ADDR", "value": f"istiod.{SYSTEM}.svc:15012"},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "ISTIO_META_WORKLOAD_NAME", "value": name},
                {"name": "ISTIO_META_UNPRIVILEGED_POD", "value": "true"},
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 2},
            "resources": {"requests": requests, "limits": {"cpu": "2000m", "memory": "1024Mi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": one, "mountPath": f"/var/run/{one}"} for one in empty],
        }
        own = {
            **labels,
            "heritage": "Tiller",
            "release": "istio",
            "chart": "gateways",
            "service.istio.io/canonical-name": name,
            "service.istio.io/canonical-revision": "latest",
            "istio.io/rev": "default",
            "install.operator.istio.io/owning-resource": "unknown",
            "operator.istio.io/component": component,
            "sidecar.istio.io/inject": "false",
        }
        annotations = {
            "prometheus.io/port": "15020",
            "prometheus.io/scrape": "true",
            "prometheus.io/path": "/stats/prometheus",
            "sidecar.istio.io/inject": "false",
        }
        return {
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"labels": own, "annotations": annotations},
                "spec": {
                    "securityContext": {"runAsUser": 1337, "runAsGroup": 1337, "runAsNonRoot": True},
                    "serviceAccountName": f"{name}-service-account",
                    "containers": [container],
                    "volumes": [{"name": one, "emptyDir": {}} for one in empty],
                    "affinity": {"nodeAffinity": {}},
                },
            },
        }


def _kept_state(profile: str, version: str) -> Object:
    """Return what a profile of 1.19 or 1.20 comes to in an IstioOperator, before anybody adds to it."""
    demo = profile == "demo"
    gateways: Object = {}
    for side, kind in (("ingress", "LoadBalancer"), ("egress", "ClusterIP")):
        mounts = [f"{side}gateway-certs", f"{side}gateway-ca-certs"]
        gateways[f"istio-{side}gateway"] = {
            "autoscaleEnabled": not demo,
            "env": {},
            "name": f"istio-{side}gateway",
            "type": kind,
            "secretVolumes": [
                {"name": one, "secretName": f"istio-{one}", "mountPath": f"/etc/istio/{one}"} for one in mounts
            ],
        }
    small = {"resources": {"requests": {"cpu": "10m", "memory": "40Mi"}}}
    listed = [{"name": name, "port": port, "targetPort": target} for name, (port, target) in PORTS.items()]
    istiod = {
        "env": [{"name": "PILOT_TRACE_SAMPLING", "value": "100"}],
        "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}},
    }
    ingress = {"k8s": {**small, "service": {"ports": listed}}} if demo else {}
    probe = {"readinessInitialDelaySeconds": 1, "readinessPeriodSeconds": 2, "readinessFailureThreshold": 30}
    if not version.startswith("1.19."):
        probe = {"readinessInitialDelaySeconds": 0, "readinessPeriodSeconds": 15, "readinessFailureThreshold": 4}
    requests = {"cpu": "10m", "memory": "40Mi"} if demo else {"cpu": "100m", "memory": "128Mi"}
    mesh = read_document(ROOT / "values" / "profiles" / "demo" / "istiod.yaml").values["meshConfig"] if demo else {}
    return {
        "profile": profile,
        "tag": version,
        "meshConfig": {"defaultConfig": {"proxyMetadata": {}}, "enablePrometheusMerge": True, **mesh},
        "components": {
            "base": {"enabled": True},
            "pilot": {"enabled": True, **({"k8s": istiod} if demo else {})},
            "cni": {"enabled": False},
            "istiodRemote": {"enabled": False},
            "ingressGateways": [{"name": "istio-ingressgateway", "enabled": True, **ingress}],
            "egressGateways": [
                {"name": "istio-egressgateway", "enabled": demo, **({"k8s": small} if demo else {})},
            ],
        },
        "values": {
            "defaultRevision": "",
            "base": {"enableCRDTemplates": False, "validationURL": ""},
            "gateways": gateways,
            "global": {
                "configValidation": True,
                "defaultNodeSelector": {},
                "defaultPodDisruptionBudget": {"enabled": True},
                "defaultResources": {"requests": {"cpu": "10m"}},
                "imagePullPolicy": "",
                "imagePullSecrets": [],
                "istioNamespace": SYSTEM,
                "istiod": {"enableAnalysis": False},
                "jwtPolicy": "third-party-jwt",
                "logAsJson": False,
                "logging": {"level": "default:info"},
                "meshNetworks": {},
                "multiCluster": {"clusterName": "", "enabled": False},
                "network": "",
                "oneNamespace": False,
                "pilotCertProvider": "istiod",
                "proxy": {
                    "autoInject": "enabled",
                    "componentLogLevel": "misc:error",
                    "excludeIPRanges": "",
                    "image": "proxyv2",
                    "includeIPRanges": "*",
                    "logLevel": "warning",
                    "resources": {"limits": {"cpu": "2000m", "memory": "1024Mi"}, "requests": requests},
                    "statusPort": 15020,
                    "tracer": "zipkin",
                    **probe,
                },
                "proxy_init": {"image": "proxyv2"},
                "sds": {"token": {"aud": "istio-ca"}},
                "tracer": {"datadog": {}, "lightstep": {}, "stackdriver": {}, "zipkin": {}},
                "useMCP": False,
            },
            "istiodRemote": {"injectionURL": ""},
            "pilot": {
                "autoscaleEnabled": not demo,
                "autoscaleMax": 5,
                "autoscaleMin": 1,
                "configMap": True,
                "cpu": {"targetAverageUtilization": 80},
                "enableProtocolSniffingForInbound": True,
                "enableProtocolSniffingForOutbound": True,
                "env": {},
                "image": "pilot",
                "keepaliveMaxServerConnectionAge": "30m",
                "nodeSelector": {},
                "podLabels": {},
                "replicaCount": 1,
                "traceSampling": 1,
            },
            "telemetry": {"enabled": True, "v2": {"enabled": True, "prometheus": {"enabled": True}}},
        },
    }


def path_of(one: Object) -> str:
    """Return where an object is."""
    version, kind = one["apiVersion"], one["kind"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = PLURALS.get(kind) or (f"{kind.lower()[:-1]}ies" if kind.endswith("cy") else f"{kind.lower()}s")
    metadata = copy.copy(one["metadata"])
    scope = "" if kind in CLUSTER_SCOPED else f"/namespaces/{metadata.get('namespace', SYSTEM)}"
    return f"{root}{scope}/{plural}/{metadata['name']}"
