"""``nksmesh traffic`` on a real API server, with the CRDs of Istio's own chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader
from tests.conformance.recipes import APPLIED, base_crds

pytestmark = pytest.mark.cluster

NETWORKING = "/apis/networking.istio.io/v1beta1/namespaces/default"
ROUTES = f"{NETWORKING}/virtualservices"
RULES = f"{NETWORKING}/destinationrules"


@pytest.fixture
def bookinfo(cluster: Reader, real_charts: Path) -> Reader:
    """Istio's CRDs, and a Service with three versions whose pods have proxies, the third of them not ready."""
    for crd in base_crds(real_charts / "base-1.30.2.tgz"):
        cluster.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}", crd, "helm")
    for node in cluster.items("/api/v1/nodes"):
        region = {"topology.kubernetes.io/region": "kr1"}
        cluster.merge(f"/api/v1/nodes/{node['metadata']['name']}", {"metadata": {"labels": region}})
    selector = {"app": "reviews"}
    ports = [{"name": "http", "port": 9080}]
    cluster.post(
        "/api/v1/namespaces/default/services",
        {"metadata": {"name": "reviews"}, "spec": {"selector": selector, "ports": ports}},
    )
    for version in ("v1", "v2", "v3"):
        labels = {**selector, "version": version}
        containers = [{"name": name, "image": f"example/{name}:1"} for name in ("reviews", "istio-proxy")]
        never = {"nodeSelector": {"nowhere": "at-all"}} if version == "v3" else {}
        pod: Object = {
            "metadata": {"name": f"reviews-{version}", "labels": labels},
            "spec": {"containers": containers, **never},
        }
        cluster.post("/api/v1/namespaces/default/pods", pod)
    cluster.until("/api/v1/namespaces/default/pods", lambda pods: sum(map(runs, pods)) == 2)
    cluster.until(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        lambda crds: all(
            any(row["type"] == "Established" for row in (crd.get("status") or {}).get("conditions") or ())
            for crd in crds
        ),
    )
    return cluster


def runs(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)


def specs(cluster: Reader, path: str) -> dict[str, Any]:
    return {found["metadata"]["name"]: found["spec"] for found in cluster.items(path)}


def test_every_recipe_is_taken_and_joins_the_others_until_all_go(mesh: Program, bookinfo: Reader) -> None:
    before = bookinfo.everything()
    printed = mesh("traffic", "shift", "reviews", "v1=80", "v2=20", output="text").stdout
    assert [found["kind"] for found in yaml.safe_load_all(printed)] == ["VirtualService", "DestinationRule"]
    assert bookinfo.everything() == before
    mesh("traffic", "shift", "reviews", "v1=80", "v2=20", "--write", code=2)  # there is no terminal to ask on
    assert bookinfo.everything() == before
    written = mesh("traffic", "shift", "reviews", "v1=80", "v2=20", "--write", "--yes").data
    assert written["written"] == ["DestinationRule default/reviews", "VirtualService default/reviews"]
    assert [found["spec"] for found in yaml.safe_load_all(printed)] == [
        specs(bookinfo, ROUTES)["reviews"],
        specs(bookinfo, RULES)["reviews"],
    ]
    assert not mesh("traffic", "shift", "reviews", "v1=80", "v2=20", "--write", "--yes").data["written"]
    for name, (first, *_) in APPLIED.items():
        if name != "shift":
            mesh("traffic", "apply", name, "reviews", *first.split(), "--write", "--yes")
    (route,) = (found for found in specs(bookinfo, ROUTES)["reviews"]["http"] if "match" not in found)
    assert (route["timeout"], [target["weight"] for target in route["route"]]) == ("2s", [80, 20])
    assert {"subsets", "trafficPolicy"} <= set(specs(bookinfo, RULES)["reviews"])
    (shown,) = mesh("traffic", "show").data["services"]
    assert {entry["recipe"] for entry in shown["recipes"]} == set(APPLIED)
    assert len(specs(bookinfo, ROUTES)) == len(specs(bookinfo, RULES)) == 1
    mesh("traffic", "reset", "reviews", "shift", "--write", "--yes")
    assert {"destination": {"host": "reviews"}} in specs(bookinfo, ROUTES)["reviews"]["http"][-1]["route"]
    mesh("traffic", "reset", "reviews", "--write", "--yes")
    assert bookinfo.everything().keys() == before.keys()


def test_what_is_anothers_or_would_not_work_is_refused_and_no_count_is_pretended(
    mesh: Program, bookinfo: Reader
) -> None:
    error = mesh("traffic", "shift", "reviews", "v1=80", "v3=20", code=7).error
    assert "version v3 of Service default/reviews cannot take requests" in error["message"]
    assert mesh("traffic", "shift", "review", "v1=100", code=2).error["hint"].startswith("Did you mean 'reviews'?")
    assert "no namespace 'shop'" in mesh("traffic", "shift", "reviews", "v1=100", "-n", "shop", code=2).error["message"]
    invalid = mesh(
        "traffic", "apply", "jwt", "reviews", "issuer=a", f"jwks_uri=http://{'a' * 3000}", "--write", "--yes", code=4
    )
    assert invalid.error["code"] == "cluster"
    printed = mesh("traffic", "shift", "reviews", "v1=100", output="text").stdout
    (route, _) = yaml.safe_load_all(printed)
    bookinfo.apply(f"{ROUTES}/reviews", route, "argocd-controller")
    before = bookinfo.everything()
    refused = mesh("traffic", "apply", "timeout", "reviews", "timeout=2s", "--write", "--yes", code=4)
    assert "VirtualService default/reviews belongs to Argo CD" in refused.error["message"]
    assert refused.data["objects"][0]["spec"]["http"][0]["timeout"] == "2s"
    assert refused.data["objects"][0]["spec"]["http"][0]["route"][0]["weight"] == 100
    assert bookinfo.everything() == before
    silent = mesh("traffic", "show", "reviews", "--live", "1s", code=4).error
    assert "none of 2 proxies answers on its admin port 15000" in silent["message"]
    assert mesh("traffic", "show", "--live", "1s", code=2).error["message"] == "--live needs a Service"
