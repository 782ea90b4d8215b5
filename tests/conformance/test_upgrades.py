"""The roads on Istio's real charts: 1.19.0 to 1.24.6 in place and back by one, with everything of a user's kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.cluster.program import Program, Ran
from tests.cluster.reader import Object, Reader
from tests.cluster.watch import witness_of

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

HUB = "registry.example.com/istio"
KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
INGRESS = "istio=ingressgateway"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SHOP = "/apis/apps/v1/namespaces/shop/deployments"

OBJECTS: dict[str, Object] = {
    "networking.istio.io/v1beta1/virtualservices": {
        "hosts": ["shop.example.com"],
        "gateways": ["shop"],
        "http": [{"route": [{"destination": {"host": "shop", "subset": "v1"}}], "timeout": "3s"}],
    },
    "networking.istio.io/v1beta1/gateways": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["shop.example.com"]}],
    },
    "networking.istio.io/v1beta1/destinationrules": {
        "host": "shop",
        "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
    },
    "networking.istio.io/v1beta1/serviceentries": {
        "hosts": ["db.example.com"],
        "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}],
        "resolution": "DNS",
    },
    "networking.istio.io/v1beta1/workloadentries": {"address": "10.1.2.3", "labels": {"app": "machine"}},
    "networking.istio.io/v1beta1/workloadgroups": {"template": {"serviceAccount": "default"}},
    "networking.istio.io/v1beta1/sidecars": {"egress": [{"hosts": ["./*"]}]},
    "networking.istio.io/v1beta1/proxyconfigs": {"concurrency": 1},
    "networking.istio.io/v1alpha3/envoyfilters": {"configPatches": []},
    "security.istio.io/v1beta1/authorizationpolicies": {"action": "DENY", "rules": []},
    "security.istio.io/v1beta1/peerauthentications": {"mtls": {"mode": "STRICT"}},
    "security.istio.io/v1beta1/requestauthentications": {
        "jwtRules": [{"issuer": "issuer.example.com", "jwksUri": "https://issuer.example.com/keys"}]
    },
    "telemetry.istio.io/v1alpha1/telemetries": {"tracing": [{"randomSamplingPercentage": 5}]},
    "extensions.istio.io/v1alpha1/wasmplugins": {"url": "oci://registry.example.com/plugin:1"},
    "install.istio.io/v1alpha1/istiooperators": {"profile": "empty"},
}
"""One object of every CRD that 1.19.0 has: where it is, and its spec."""


def furnish(cluster: Reader) -> dict[str, Object]:
    """Make a user's namespace: a workload with a sidecar, and an object of every CRD; return the objects."""
    labels = {"istio-injection": "enabled"}
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": labels}})
    cluster.until("/api/v1/namespaces/shop/serviceaccounts", lambda found: len(found) > 0)
    template = {
        "metadata": {"labels": {"app": "cart"}},
        "spec": {"containers": [{"name": "app", "image": "example/a"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": template}
    cluster.post(SHOP, {"metadata": {"name": "cart"}, "spec": spec})
    cluster.until(SHOP, lambda found: found[0].get("status", {}).get("availableReplicas") == 1)
    return {place: cluster.post(_of_shop(place), _made(place, spec)) for place, spec in OBJECTS.items()}


def _made(place: str, spec: Object) -> Object:
    group, version, _ = place.split("/")
    kind = {"istiooperators": "IstioOperator"}
    plural = place.rpartition("/")[2]
    kinds = {
        "virtualservices": "VirtualService",
        "gateways": "Gateway",
        "destinationrules": "DestinationRule",
        "serviceentries": "ServiceEntry",
        "workloadentries": "WorkloadEntry",
        "workloadgroups": "WorkloadGroup",
        "sidecars": "Sidecar",
        "proxyconfigs": "ProxyConfig",
        "envoyfilters": "EnvoyFilter",
        "authorizationpolicies": "AuthorizationPolicy",
        "peerauthentications": "PeerAuthentication",
        "requestauthentications": "RequestAuthentication",
        "telemetries": "Telemetry",
        "wasmplugins": "WasmPlugin",
        **kind,
    }
    metadata = {"name": "shop", "annotations": {"example.com/note": "kept"}, "labels": {"app": "cart"}}
    return {"apiVersion": f"{group}/{version}", "kind": kinds[plural], "metadata": metadata, "spec": spec}


def _of_shop(place: str) -> str:
    api, _, plural = place.rpartition("/")
    return f"/apis/{api}/namespaces/shop/{plural}"


def kept(item: Object) -> Object:
    """What a user has of an object: all but the API server's bookkeeping."""
    bookkeeping = {"managedFields", "resourceVersion", "generation"}
    metadata = {key: one for key, one in item["metadata"].items() if key not in bookkeeping}
    return {**{key: one for key, one in item.items() if key != "status"}, "metadata": metadata}


def assert_kept(cluster: Reader, made: dict[str, Object]) -> None:
    for place, before in made.items():
        assert kept(cluster.get(f"{_of_shop(place)}/shop")) == kept(before), place


def crds(cluster: Reader) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in cluster.items(CRDS)}


def serving_v1(cluster: Reader) -> set[str]:
    return {
        name.partition(".")[0]
        for name, crd in crds(cluster).items()
        if any(one["name"] == "v1" and one["served"] for one in crd["spec"]["versions"])
    }


def owners(found: Iterable[Object]) -> set[tuple[str | None, str | None]]:
    """Name which Helm releases own some objects."""
    return {
        (
            (one["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name"),
            (one["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by"),
        )
        for one in found
    }


def versions(istio: Program) -> set[str]:
    told = istio("status").data
    assert told["ready"] is True, told
    return {one["chart_version"] for one in told["releases"]}


def steps(ran: Ran) -> dict[str, dict[str, str]]:
    """For each version that was gone to, what every step did."""
    return {one["version"]: {step["name"]: step["action"] for step in one["steps"]} for one in ran.data["steps"]}


def test_the_whole_road_in_place_and_one_step_back(istio: Program, cluster: Reader) -> None:
    istio = replace(istio, patience=240)  # one run goes three steps
    istio("install", "--version", "1.19.0", "--region", "kr1", "--set", "istiod:global.jwtPolicy=third-party-jwt")
    made = furnish(cluster)
    address = cluster.service("istio-ingressgateway")
    assert cluster.images("app=cart", "shop") == {"example/a", f"{KR1}/proxyv2:1.19.0"}

    # by region there is no road beyond its registry
    closed = istio("upgrade", "--to", "1.21.6", "--all", code=7).error
    assert closed["detail"].splitlines() == [
        "1. 1.19.0 -> 1.20.0",
        f"2. 1.20.0 -> 1.21.6; {closed['message']}",
    ]

    with witness_of(istio.kubeconfig, INGRESS) as witness:
        ran = istio("upgrade", "--to", "1.20.0")
        assert list(steps(ran)["1.20.0"]) == [
            "namespace istio-system",
            "CRDs",
            "istio-base",
            "istiod",
            "injection webhook",
            "istio-ingressgateway",
            "restart istio-ingressgateway",
        ]
        assert [(one["name"], one["proxies"]) for one in ran.data["workloads"]] == [("cart", [f"{KR1}/proxyv2:1.19.0"])]
        assert cluster.images(INGRESS) == {f"{KR1}/proxyv2:1.20.0"}
        istio("upgrade", "--to", "1.20.1", "--hub", HUB)
        # the workload's proxy of 1.19.0 would be two minors behind: it is restarted before the step, and after it
        ran = istio("upgrade", "--to", "1.24.6", "--step", "--restart-workloads")
        assert ran.data["left"] == ["1.22.8", "1.23.6", "1.24.6"]
        assert cluster.images("app=cart", "shop") == {"example/a", f"{HUB}/proxyv2:1.21.6"}
        assert serving_v1(cluster) == {"authorizationpolicies", "requestauthentications"}
        assert_kept(cluster, made)
        ran = istio("upgrade", "--to", "1.24.6", "--all", "--restart-workloads")
        assert list(steps(ran)) == ["1.22.8", "1.23.6", "1.24.6"]
        assert (steps(ran)["1.22.8"]["CRDs"], steps(ran)["1.23.6"]["CRDs"]) == ("apply", "apply")
        told = [finding["message"] for finding in ran.data["steps"][0]["findings"]]
        assert any("no key global.jwtPolicy any more: 1.21.6 had it" in message for message in told)

    assert min(witness.counts) >= 1
    assert len(witness.names) == 7  # each version had a pod of its own: what was watched is what was upgraded
    assert cluster.images(INGRESS) == {f"{HUB}/proxyv2:1.24.6"}
    assert cluster.images("app=cart", "shop") == {"example/a", f"{HUB}/proxyv2:1.24.6"}
    after = cluster.service("istio-ingressgateway")
    assert (after["status"], after["metadata"]["uid"]) == (address["status"], address["metadata"]["uid"])
    assert_kept(cluster, made)
    newer = crds(cluster)
    assert "istiooperators.install.istio.io" in newer  # no chart from 1.21 on has it: nobody takes it away
    of_charts = {name: crd for name, crd in newer.items() if not name.startswith("istiooperators.")}
    assert owners(of_charts.values()) == {("istio-base", "Helm")}
    assert {crd["metadata"]["labels"]["app.kubernetes.io/version"] for crd in of_charts.values()} == {"1.24.6"}
    assert {"virtualservices", "gateways", "telemetries"} <= serving_v1(cluster)

    # down by one minor: the CRDs stay, and what they hold with them
    ran = istio("upgrade", "--to", "1.23.6")
    assert steps(ran)["1.23.6"]["CRDs"] == "keep"
    assert versions(istio) == {"1.23.6"}
    assert {name: crd["spec"] for name, crd in crds(cluster).items()} == {
        name: crd["spec"] for name, crd in newer.items()
    }
    assert_kept(cluster, made)
    assert istio("plan", "--exit-code").changes == {}


def test_crds_of_crds_folders_change_hands_and_stay_with_helm4(istio: Program, cluster: Reader, helm4: str) -> None:
    istio = replace(istio, helm=helm4, patience=240)
    istio("install", "--version", "1.23.6", "--hub", HUB)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    place = "networking.istio.io/v1/workloadgroups"
    made = {place: cluster.post(_of_shop(place), _made(place, {"template": {"serviceAccount": "default"}}))}
    reasons = {step["name"]: step["reasons"] for step in istio("upgrade", "--to", "1.24.6").data["steps"][0]["steps"]}
    assert "14 CRDs that no release owns become its own" in reasons["istio-base"]
    assert owners(crds(cluster).values()) == {("istio-base", "Helm")}
    assert istio("plan", "--exit-code").changes == {}
    istio("upgrade", "--to", "1.23.6")
    assert len(crds(cluster)) == 14
    assert_kept(cluster, made)
