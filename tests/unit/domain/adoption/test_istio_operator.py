"""What istioctl was told, as values: what goes over, what is so anyway, and what is named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.adoption.istio_operator import CarriedOver, Target, carry_over, pull_secrets_of
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.known_keys import known_tree
from nksmesh.domain.charts.releases import Release
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, chart

EGRESS = Release(component="gateway", name="istio-egressgateway", namespace="istio-system")
HUB = "registry.example.com/istio"
READ = {
    "istiod": (
        "pilot.tolerations",
        "pilot.affinity",
        "global.trustDomain",
        "global.proxy.holdApplicationUntilProxyStarts",
    ),
    "gateway": ("service.loadBalancerClass",),
}
"""Keys that templates read and no values.yaml lists."""

OF_BASE = {"global": {"imagePullSecrets": [], "istioNamespace": "istio-system"}, "defaultRevision": "default"}
OF_ISTIOD: Mapping[str, Any] = {
    "pilot": {
        "autoscaleEnabled": True,
        "autoscaleMin": 1,
        "autoscaleMax": 5,
        "replicaCount": 1,
        "rollingMaxSurge": "100%",
        "traceSampling": 1.0,
        "resources": {"requests": {"cpu": "500m", "memory": "2048Mi"}},
        "env": {},
        "cpu": {"targetAverageUtilization": 80},
        "nodeSelector": {},
        "podAnnotations": {},
        "deploymentLabels": {},
    },
    "meshConfig": {"enablePrometheusMerge": True},
    "global": {
        "hub": "docker.io/istio",
        "tag": "1.20.0",
        "variant": "",
        "imagePullPolicy": "",
        "priorityClassName": "",
        "multiCluster": {"clusterName": ""},
        "proxy": {"logLevel": "warning", "resources": {"requests": {"cpu": "100m"}}},
    },
}
OF_GATEWAY: Mapping[str, Any] = {
    "replicaCount": None,
    "autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 80},
    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "2000m"}},
    "service": {"type": "LoadBalancer", "ports": []},
    "env": {},
    "labels": {},
    "nodeSelector": {},
    "imagePullPolicy": "",
    "podDisruptionBudget": {},
    "imagePullSecrets": [],
    "serviceAccount": {"annotations": {}},
}
DEFAULTS = {"base": OF_BASE, "istiod": OF_ISTIOD, "gateway": OF_GATEWAY}


def of(component: str) -> Chart:
    """Make a chart whose templates read its defaults, and some keys that it does not list."""
    made = chart(component, defaults=DEFAULTS[component])
    beyond = "".join(f"{{{{ toYaml .Values.{key} }}}}" for key in READ.get(component, ()))
    return replace(made, templates={**made.templates, "templates/beyond.yaml": beyond})


def carried(
    spec: Mapping[str, Any],
    under: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    owned: Collection[Release] | None = None,
) -> CarriedOver:
    """Carry a spec over; with ``owned`` it is an IstioOperator beside istiod's, which owns these gateways alone."""
    sides = {INGRESS: "ingressGateways", EGRESS: "egressGateways"}
    targets = [
        Target(
            release=release,
            known=known_tree(of(release.component)),
            under={**DEFAULTS[release.component], **(under or {}).get(release.name, {})},
            side=sides.get(release, ""),
            owner="" if owned is None or release in owned else "IstioOperator installed-state",
            defaults=DEFAULTS[release.component],
        )
        for release in (BASE, ISTIOD, INGRESS, EGRESS)
        if owned is None or release.component != "gateway" or release in owned
    ]
    return carry_over(spec, targets, hub=HUB, version="1.20.0")


def gateway(name: str = "istio-ingressgateway", **said: Any) -> dict[str, Any]:
    side = "ingressGateways" if "ingress" in name else "egressGateways"
    return {"components": {side: [{"name": name, "enabled": True, **said}]}}


def test_a_profile_alone_sets_nothing() -> None:
    """As istioctl keeps it: the profile is in it whole, and so are keys that no chart reads."""
    certs = [
        {"name": f"ingressgateway-{one}", "secretName": f"istio-ingressgateway-{one}"} for one in ("certs", "ca-certs")
    ]
    mounted = [{**cert, "mountPath": f"/etc/istio/{cert['name']}"} for cert in certs]
    spec = {
        "profile": "default",
        "hub": HUB,
        "tag": "1.20.0",
        "meshConfig": {"defaultConfig": {"proxyMetadata": {}}, "enablePrometheusMerge": True},
        "components": {
            **{name: {"enabled": name in {"base", "pilot"}} for name in ("base", "pilot", "cni", "istiodRemote")},
            **gateway()["components"],
            "egressGateways": [{"name": "istio-egressgateway", "enabled": False, "k8s": {"overlays": [1]}}],
        },
        "values": {
            "defaultRevision": "",
            "global": {"configValidation": True, "useMCP": False, "defaultNodeSelector": {}, "imagePullPolicy": ""},
            "pilot": {"traceSampling": 1, "deploymentLabels": None, "enableProtocolSniffingForInbound": True},
            "gateways": {
                "istio-ingressgateway": {
                    "name": "istio-ingressgateway",
                    "type": "LoadBalancer",
                    "env": {},
                    "autoscaleEnabled": True,
                    "secretVolumes": mounted,
                }
            },
        },
    }
    assert carried(spec) == CarriedOver()


@pytest.mark.parametrize(
    ("spec", "release", "values"),
    [
        ({"meshConfig": {"accessLogFile": "/dev/stdout"}}, "istiod", {"meshConfig": {"accessLogFile": "/dev/stdout"}}),
        (
            {"values": {"global": {"proxy": {"resources": {"limits": {"cpu": "1"}}}}}},
            "istiod",
            {"global": {"proxy": {"resources": {"limits": {"cpu": "1"}}}}},
        ),
        ({"unvalidatedValues": {"pilot": {"autoscaleMin": 2}}}, "istiod", {"pilot": {"autoscaleMin": 2}}),
        ({"tag": "1.20.0-distroless"}, "istiod", {"global": {"variant": "distroless"}}),
        ({"tag": "1.20.0-ours"}, "istiod", {"global": {"tag": "1.20.0-ours"}}),
        (gateway(label={"app": "x", "team": "net"}), "istio-ingressgateway", {"labels": {"team": "net"}}),
        (
            {"values": {"gateways": {"istio-egressgateway": {"autoscaleEnabled": False, "autoscaleMax": 3}}}},
            "istio-egressgateway",
            {"autoscaling": {"enabled": False, "maxReplicas": 3}},
        ),
    ],
)
def test_a_setting_goes_to_the_value_that_stands_for_it(
    spec: Mapping[str, Any], release: str, values: Mapping[str, Any]
) -> None:
    found = carried(spec)
    assert (found.values.get(release), found.left) == (values, {})


def test_what_patches_istiod_goes_to_its_chart() -> None:
    k8s = {
        "resources": {"requests": {"cpu": "500m", "memory": "4Gi"}},
        "replicaCount": 2,
        "hpaSpec": {
            "minReplicas": 2,
            "maxReplicas": 5,
            "scaleTargetRef": {"name": "istiod"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 60}}],
        },
        "env": [
            {"name": "PILOT_TRACE_SAMPLING", "value": "100"},
            {"name": "CLUSTER_ID", "value": "east"},
            {"name": "PILOT_PUSH_THROTTLE", "value": "10"},
            {"name": "POD_NAME", "value": "x"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
        ],
        "nodeSelector": {"pool": "infra"},
        "podAnnotations": {"example.com/a": "b"},
        "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
        "podDisruptionBudget": {"minAvailable": 1},
        "priorityClassName": "high",
        "overlays": [{"kind": "Deployment", "name": "istiod", "patches": [{"path": "spec.x", "value": 1}]}],
    }
    found = carried({"values": {"pilot": {"traceSampling": 5}}, "components": {"pilot": {"k8s": k8s}}})
    assert found.values["istiod"] == {
        "pilot": {
            "resources": {"requests": {"memory": "4Gi"}},
            "replicaCount": 2,
            "autoscaleMin": 2,
            "cpu": {"targetAverageUtilization": 60},
            "traceSampling": 100,  # a patch outdoes the value
            "env": {"PILOT_PUSH_THROTTLE": "10"},
            "nodeSelector": {"pool": "infra"},
            "podAnnotations": {"example.com/a": "b"},
            "rollingMaxSurge": "50%",
        },
        "global": {"multiCluster": {"clusterName": "east"}, "priorityClassName": "high"},
    }
    assert {path.removeprefix("components.pilot.k8s."): why for path, why in found.left.items()} == {
        "env.POD_NAME": "the chart sets this variable itself",
        "env.TOKEN": "the charts accept only plain values for variables",
        "overlays": "the chart istiod of 1.20.0 has no value for it",
        "strategy.rollingUpdate.maxUnavailable": "the chart istiod of 1.20.0 has no value for it",
    }


def test_what_patches_a_gateway_goes_to_its_own_release() -> None:
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}]
    k8s = {
        "resources": {"limits": {"cpu": "4000m"}},
        "hpaSpec": {"minReplicas": 2, "metrics": metrics, "scaleTargetRef": {"name": "x"}},
        "env": [{"name": "ISTIO_META_X", "value": "y"}],
        "service": {"type": "NodePort", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
        "serviceAnnotations": {"a": "b"},
        "podDisruptionBudget": {"minAvailable": 2},
        "overlays": [{}],
    }
    found = carried(gateway(k8s=k8s))
    assert found.values == {
        "istio-ingressgateway": {
            "resources": {"limits": {"cpu": "4000m"}},
            "autoscaling": {"minReplicas": 2, "targetCPUUtilizationPercentage": 50},
            "env": {"ISTIO_META_X": "y"},
            "podDisruptionBudget": {"minAvailable": 2},
        }
    }
    # the Service is kept as it is, and the rest of it is named
    own = "components.ingressGateways.istio-ingressgateway.k8s"
    assert set(found.left) == {f"{own}.service.sessionAffinity", f"{own}.overlays"}


def test_what_is_global_to_istioctl_goes_to_every_gateway_too() -> None:
    values = {"global": {"defaultNodeSelector": {"pool": "edge"}, "imagePullPolicy": "Always"}}
    found = carried({"values": values})
    own = {"nodeSelector": {"pool": "edge"}, "imagePullPolicy": "Always"}
    assert found.values == {
        "istiod": {"global": {"imagePullPolicy": "Always"}},
        "istio-ingressgateway": own,
        "istio-egressgateway": own,
    }


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"hub": "elsewhere.example.com/istio"}, "hub"),
        ({"addonComponents": {"kiali": {"enabled": True}}}, "addonComponents.kiali.enabled"),
        ({"installPackagePath": "/charts"}, "installPackagePath"),
        ({"components": {"cni": {"enabled": True}}}, "components.cni.enabled"),
        ({"components": {"pilot": {"enabled": False}}}, "components.pilot.enabled"),
        ({"components": {"ingressGateways": "x"}}, "components.ingressGateways"),
        ({"values": {"kiali": {"createDemoSecret": True}}}, "values.kiali.createDemoSecret"),
        ({"values": {"global": "x"}}, "values.global"),
        ({"values": {"gateways": {"other": {"x": 1}}}}, "values.gateways.other.x"),
        (
            {"components": {"pilot": {"k8s": {"hpaSpec": {"metrics": [{"type": "External"}]}}}}},
            "components.pilot.k8s.hpaSpec.metrics",
        ),
        ({"components": {"pilot": {"k8s": {"env": "x"}}}}, "components.pilot.k8s.env"),
    ],
)
def test_what_nothing_stands_for_is_named(spec: Mapping[str, Any], path: str) -> None:
    found = carried(spec)
    assert (found.values, set(found.left)) == ({}, {path})
    assert found.left[path]


TOLERATIONS = [{"key": "infra", "operator": "Exists"}]
UNLISTED: Mapping[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a list that patches istiod": (
        {"components": {"pilot": {"k8s": {"tolerations": TOLERATIONS}}}},
        "istiod",
        {"pilot": {"tolerations": TOLERATIONS}},
    ),
    "a map that patches istiod": (
        {"components": {"pilot": {"k8s": {"affinity": {"nodeAffinity": {"x": 1}}}}}},
        "istiod",
        {"pilot": {"affinity": {"nodeAffinity": {"x": 1}}}},
    ),
    "a list among the values": (
        {"values": {"pilot": {"tolerations": TOLERATIONS}}},
        "istiod",
        {"pilot": {"tolerations": TOLERATIONS}},
    ),
    "a text among the values": (
        {"values": {"global": {"trustDomain": "td.example.com"}}},
        "istiod",
        {"global": {"trustDomain": "td.example.com"}},
    ),
    "a flag among the values": (
        {"values": {"global": {"proxy": {"holdApplicationUntilProxyStarts": True}}}},
        "istiod",
        {"global": {"proxy": {"holdApplicationUntilProxyStarts": True}}},
    ),
    "a text for a gateway's Service": (
        gateway(k8s={"service": {"loadBalancerClass": "nks"}}),
        "istio-ingressgateway",
        {"service": {"loadBalancerClass": "nks"}},
    ),
}


@pytest.mark.parametrize(("spec", "release", "values"), UNLISTED.values(), ids=UNLISTED)
def test_a_value_that_no_values_yaml_lists_may_have_any_type(
    spec: Mapping[str, Any], release: str, values: Mapping[str, Any]
) -> None:
    assert carried(spec) == CarriedOver(values={release: values})


def test_another_istio_operator_says_of_its_own_gateways_what_they_are() -> None:
    k8s = {"hpaSpec": {"minReplicas": 2, "maxReplicas": 4}, "overlays": [{}]}
    spec = {
        "profile": "empty",
        "hub": HUB,
        "components": {
            **gateway("istio-egressgateway", k8s=k8s)["components"],
            **{name: {"enabled": False} for name in ("base", "pilot", "cni")},
            "ingressGateways": [{"name": "istio-ingressgateway", "enabled": False, "k8s": k8s}],
        },
        "values": {
            "global": {
                "defaultNodeSelector": {"pool": "edge"},
                "imagePullSecrets": ["ncr"],
                "proxy": {"logLevel": "warning"},
            },
            "gateways": {"istio-egressgateway": {"autoscaleMax": 9}},
        },
    }
    found = carried(spec, owned={EGRESS})
    assert found.values == {
        "istio-egressgateway": {
            "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
            "nodeSelector": {"pool": "edge"},
            "imagePullSecrets": [{"name": "ncr"}],
        }
    }
    assert list(found.left) == ["components.egressGateways.istio-egressgateway.k8s.overlays"]


OF_ISTIODS = {
    "meshConfig.accessLogFile": {"meshConfig": {"accessLogFile": "/dev/null"}},
    "values.pilot.traceSampling": {"values": {"pilot": {"traceSampling": 7}}},
    "components.pilot.k8s.replicaCount": {"components": {"pilot": {"k8s": {"replicaCount": 3}}}},
    "tag": {"tag": "1.19.0"},
    "revision": {"revision": "1-20-0"},
    "values.revision": {"values": {"revision": "1-20-0"}},
    "components.cni.enabled": {"components": {"cni": {"enabled": True}}},
    "components.base.k8s.x": {"components": {"base": {"k8s": {"x": 1}}}},
    "components.ingressGateways.other.k8s.replicaCount": gateway("other", k8s={"replicaCount": 2}),
}


@pytest.mark.parametrize(("path", "spec"), OF_ISTIODS.items())
def test_what_another_istio_operator_says_of_istiod_is_named(path: str, spec: Mapping[str, Any]) -> None:
    said = {"components": {"ingressGateways": spec["components"]["egressGateways"]}} if "other" in path else spec
    found = carried(said, owned={INGRESS})
    assert (found.values, list(found.left)) == ({}, [path])
    assert found.left[path]


def test_what_another_istio_operator_says_as_istiods_does_is_no_setting_of_its_own() -> None:
    under = {"istiod": {"meshConfig": {"accessLogFile": "/dev/stdout"}, "pilot": {"traceSampling": 100}}}
    spec = {
        "meshConfig": {"accessLogFile": "/dev/stdout"},
        "values": {"pilot": {"traceSampling": 1}},  # its profile's, which istiod's own outdoes
        "revision": "default",
    }
    assert carried(spec, under, owned={INGRESS}) == CarriedOver()


def test_what_our_own_layers_say_too_is_left_out() -> None:
    under = {"istiod": {"meshConfig": {"accessLogFile": "/dev/stdout"}, "pilot": {"traceSampling": 100.0}}}
    env = [{"name": "PILOT_TRACE_SAMPLING", "value": "100"}]
    spec = {"meshConfig": {"accessLogFile": "/dev/stdout"}, "components": {"pilot": {"k8s": {"env": env}}}}
    assert carried(spec, under) == CarriedOver()
    # what was set back to the chart's own is the user's against our profile
    off = carried({"meshConfig": {"accessLogFile": ""}}, under)
    assert off.values == {"istiod": {"meshConfig": {"accessLogFile": ""}}}


def test_pull_secrets_are_the_meshs() -> None:
    spec = {"values": {"global": {"imagePullSecrets": ["ncr"]}}}
    assert pull_secrets_of(spec) == ("ncr",)
    assert pull_secrets_of({}) == ()
    assert carried(spec) == CarriedOver()
