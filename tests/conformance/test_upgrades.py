"""The roads on Istio's real charts: 1.19.0 to 1.24.6 in place and back by one, with everything of a user's kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.faults.webhooks import Verdict, policy
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Object, Reader
from tests.cluster.state import changed, state_of
from tests.cluster.watch import witness_of
from tests.conformance.belongings import assert_kept, furnish, made_of, of_shop

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

HUB = "registry.example.com/istio"
KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
INGRESS = "istio=ingressgateway"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def crds(cluster: Reader) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in cluster.items(CRDS)}


def of_charts(cluster: Reader) -> list[Object]:
    """List the CRDs that charts from 1.21 on have."""
    return [crd for name, crd in crds(cluster).items() if not name.startswith("istiooperators.")]


def version_of(crd: Object) -> str:
    return str(crd["metadata"]["labels"]["app.kubernetes.io/version"])


def serving_v1(cluster: Reader) -> set[str]:
    return {
        name.partition(".")[0]
        for name, crd in crds(cluster).items()
        if any(version["name"] == "v1" and version["served"] for version in crd["spec"]["versions"])
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
    return {release["chart_version"] for release in told["releases"]}


def steps(ran: Ran) -> dict[str, dict[str, str]]:
    """For each version that was gone to, what every step did."""
    return {one["version"]: {step["name"]: step["action"] for step in one["steps"]} for one in ran.data["steps"]}


def test_the_whole_road_in_place_and_one_step_back(istio: Program, cluster: Reader) -> None:
    istio = replace(istio, waits=240)  # one run goes three steps
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
        assert [(workload["name"], workload["proxies"]) for workload in ran.data["workloads"]] == [
            ("cart", [f"{KR1}/proxyv2:1.19.0"])
        ]
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
        assert any("reads global.jwtPolicy; 1.21.6 did" in message for message in told)

    assert min(witness.counts) >= 1
    assert len(witness.names) == 7  # each version had a pod of its own: what was watched is what was upgraded
    assert cluster.images(INGRESS) == {f"{HUB}/proxyv2:1.24.6"}
    assert cluster.images("app=cart", "shop") == {"example/a", f"{HUB}/proxyv2:1.24.6"}
    after = cluster.service("istio-ingressgateway")
    assert (after["status"], after["metadata"]["uid"]) == (address["status"], address["metadata"]["uid"])
    assert_kept(cluster, made)
    newer = crds(cluster)
    assert "istiooperators.install.istio.io" in newer  # no chart from 1.21 on has it: nobody takes it away
    assert owners(of_charts(cluster)) == {("istio-base", "Helm")}
    assert {version_of(crd) for crd in of_charts(cluster)} == {"1.24.6"}
    assert {"virtualservices", "gateways", "telemetries"} <= serving_v1(cluster)
    assert istio("drift", "--exit-code").data["drift"] == []

    # back by one: up to 1.23 crds/ has the CRDs, and Helm would remove every one with all it holds (istio-facts 5)
    ran = istio("rollback", "--yes")
    assert ran.data["to_versions"] == ["1.23.6"]
    assert [workload["proxies"] for workload in ran.data["workloads"]] == [[f"{HUB}/proxyv2:1.24.6"]]
    assert versions(istio) == {"1.23.6"}
    assert cluster.images(INGRESS) == {f"{HUB}/proxyv2:1.23.6"}
    assert {name: crd["spec"] for name, crd in crds(cluster).items()} == {
        name: crd["spec"] for name, crd in newer.items()
    }
    assert_kept(cluster, made)
    assert istio("plan", "--exit-code").changes == {}
    assert istio("drift", "--exit-code").data["drift"] == []


def barring(words: str) -> Verdict:
    """Refuse what has these words in it."""

    def verdict(found: Object) -> str:
        return f"{words} is not let through" if words in json.dumps(found) else ""

    return verdict


def test_crds_of_crds_folders_change_hands_and_stay_with_helm4(
    istio: Program, cluster: Reader, helm4: str, tmp_path: Path
) -> None:
    istio = replace(istio, helm=helm4, waits=240)
    istio("install", "--version", "1.23.6", "--hub", HUB)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    place = "networking.istio.io/v1/workloadgroups"
    made = {place: cluster.post(of_shop(place), made_of(place, {"template": {"serviceAccount": "default"}}))}
    before = state_of(cluster)

    # failed behind the CRDs, at istiod and at the gateway: all goes back but them, and they are not removed
    for image, way in (("pilot", ()), ("proxyv2", ("--rollback-on-failure",))):
        with policy(cluster, tmp_path, barring(f"{image}:1.24.6"), spares_dry_runs=True):
            ran = istio("upgrade", "--to", "1.24.6", *way, code=11 if way else 6)
        assert f"{image}:1.24.6 is not let through" in ran.error["detail"]
        if not way:
            istio("rollback", "--yes")
        assert not changed(before, state_of(cluster))
        assert {version_of(crd) for crd in of_charts(cluster)} == {"1.24.6"}
    assert istio("plan", "--exit-code").changes == {}
    assert istio("drift", "--exit-code").data["drift"] == []

    istio("upgrade", "--to", "1.24.6")
    assert owners(crds(cluster).values()) == {("istio-base", "Helm")}
    assert istio("plan", "--exit-code").changes == {}
    newer = crds(cluster)

    # down by one minor: the CRDs stay, and what they hold with them
    ran = istio("upgrade", "--to", "1.23.6")
    assert steps(ran)["1.23.6"]["CRDs"] == "keep"
    assert {name: crd["spec"] for name, crd in crds(cluster).items()} == {
        name: crd["spec"] for name, crd in newer.items()
    }
    assert_kept(cluster, made)
