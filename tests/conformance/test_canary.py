"""The roads by canary on Istio's real charts: 1.20.1 -> 1.22.8 -> 1.24.6, with everything of a user's kept."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader
from tests.cluster.watch import witness_of
from tests.conformance.belongings import assert_kept, furnish
from tests.conformance.canaries import HUB, INGRESS, injected, killed_at, proxies

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
DEFAULT_TAG = f"{WEBHOOKS}/mutatingwebhookconfigurations/istio-revision-tag-default"
VALIDATOR = f"{WEBHOOKS}/validatingwebhookconfigurations/istiod-default-validator"
GATEWAYS = "/apis/networking.istio.io/v1beta1/namespaces/shop/gateways"


def labels_of(cluster: Reader, namespace: str) -> dict[str, str]:
    metadata = cluster.get(f"/api/v1/namespaces/{namespace}")["metadata"]
    assert "nksmesh.io/labels-before-canary" not in metadata.get("annotations", {})
    return {key: label for key, label in metadata["labels"].items() if "istio" in key}


def names_in(cluster: Reader, release: str) -> set[str]:
    """Name the objects that Helm has stored of a release's first revision."""
    manifest = cluster.helm_release(release)["manifest"]
    lines = manifest.splitlines()
    return {line.split(": ")[1].strip('"') for line in lines if line.startswith("  name: ") and "istio" in line}


def validators(cluster: Reader) -> dict[str, set[str]]:
    """For each validator, the Services it calls."""
    return {
        one["metadata"]["name"]: {hook["clientConfig"]["service"]["name"] for hook in one["webhooks"]}
        for one in cluster.items(f"{WEBHOOKS}/validatingwebhookconfigurations")
    }


def refuses_what_is_wrong(cluster: Reader) -> bool:
    """Tell whether an Istio object without sense is refused by its validator, and not for want of one."""
    body = {"apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway", "metadata": {"name": "x"}, "spec": {}}
    try:
        cluster.post(f"{GATEWAYS}?dryRun=All", body)
    except httpx.HTTPStatusError as refused:
        return "configuration is invalid" in refused.response.text
    return False


def test_two_minors_at_a_time_by_canary(istio: Program, cluster: Reader) -> None:
    istio = replace(istio, waits=240)
    istio("install", "--version", "1.20.1", "--hub", HUB)
    made = furnish(cluster)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "pay", "labels": {"istio.io/rev": "prod"}}})
    service = cluster.service("istio-ingressgateway")
    with witness_of(istio.kubeconfig, INGRESS) as gateways, witness_of(istio.kubeconfig, "app=cart", "shop") as carts:
        _first_canary(istio, cluster, made)
        _tags(istio, cluster)
        _second_canary(istio, cluster)
    assert min(gateways.counts) >= 1
    assert min(carts.counts) >= 1
    assert len(gateways.names) == 3  # a pod of each version: what was watched is what was upgraded

    assert_kept(cluster, made)
    after = cluster.service("istio-ingressgateway")
    assert (after["status"], after["metadata"]["uid"]) == (service["status"], service["metadata"]["uid"])
    assert proxies(cluster, INGRESS) == proxies(cluster, "app=cart", "shop") == {"1.24.6"}
    told = istio("status").data
    assert (told["ready"], {release["chart_version"] for release in told["releases"]}) == (True, {"1.24.6"})
    assert istio("plan", "--exit-code").changes == {}


def _first_canary(istio: Program, cluster: Reader, made: dict[str, Object]) -> None:
    old = istio("canary", "start", "--to", "1.23.6", code=7)
    assert "2 minor versions" in old.error["message"]
    pinned = istio("canary", "start", "--to", "1.22.8", "--set", "istiod:global.tag=1.20.1", "--dry-run", code=7)
    assert "another version would run" in pinned.error["message"]
    standing = cluster.deployment("istiod"), cluster.deployment("istio-ingressgateway")
    ran = istio("canary", "start", "--to", "1.22.8")
    assert ran.changes == {"CRDs": "apply", "istio-base": "upgrade", "istiod-1-22-8": "install"}
    assert list(ran.actions) == ["namespace istio-system", "CRDs", "istio-base", "istiod-1-22-8", "injection webhook"]
    assert (cluster.deployment("istiod"), cluster.deployment("istio-ingressgateway")) == standing

    # every object has the Istio revision in its name, and no dot but those of a chart's own
    named = names_in(cluster, "istiod-1-22-8")
    assert "istio-sidecar-injector-1-22-8" in named
    assert all("1-22-8" in name and "." not in name for name in named), named
    # the validator still calls the old istiod, and the new injector takes nobody who does not name it
    assert validators(cluster) == {
        "istiod-default-validator": {"istiod"},
        "istio-validator-1-22-8-istio-system": {"istiod-1-22-8"},
    }
    assert injected(cluster, "shop") == ("1.20.1", "default")
    assert injected(cluster, "default", **{"istio.io/rev": "1-22-8"}) == ("1.22.8", "1-22-8")
    for refused in (["upgrade", "--to", "1.21.6"], ["canary", "start", "--to", "1.21.6"]):
        assert "canary promote" in istio(*refused, code=2).error["hint"]

    # the old istiod does not go while anybody is on it
    kept = istio("canary", "promote", "--yes", code=7).error
    assert (kept["detail"], "canary move" in kept["hint"]) == ("Deployment shop/cart", True)
    moved = istio("canary", "move", "shop", "--yes").data
    assert [restart["outcome"] for restart in moved["restarts"]] == ["restarted"]
    assert proxies(cluster, "app=cart", "shop") == {"1.22.8"}
    assert injected(cluster, "shop") == ("1.22.8", "1-22-8")
    told = istio("canary", "status").data
    assert [(namespace["name"], namespace["follows"], namespace["moved"]) for namespace in told["namespaces"]] == [
        ("shop", "1-22-8", True)
    ]
    assert told["gateways"][0]["istio_revisions"] == ["default"]

    istio("canary", "promote", "--yes")
    assert labels_of(cluster, "shop") == {"istio-injection": "enabled"}
    assert injected(cluster, "shop") == injected(cluster, "shop", **{"istio.io/rev": "prod"}) == ("1.22.8", "1-22-8")
    assert validators(cluster)["istiod-default-validator"] == {"istiod-1-22-8"}
    assert refuses_what_is_wrong(cluster)  # without istiod, a validator left alone would refuse everything
    assert_kept(cluster, made)
    assert istio("plan", "--exit-code").changes == {}


def _tags(istio: Program, cluster: Reader) -> None:
    # a revisioned istiod leaves istio-injection=enabled alone until there is a tag called default
    cluster.delete(DEFAULT_TAG)
    assert injected(cluster, "shop") == ("", "")
    assert istio("install").changes == {"istiod-1-22-8": "upgrade"}
    assert injected(cluster, "shop") == ("1.22.8", "1-22-8")

    assert injected(cluster, "pay") == ("", "")
    assert istio("tag", "set", "prod", "--revision", "1-22-8").data["done"] == "set"
    assert injected(cluster, "pay") == ("1.22.8", "1-22-8")
    assert [(tag["name"], tag["release"], tag["namespaces"]) for tag in istio("tag", "list").data["tags"]] == [
        ("default", "istiod-1-22-8", ["shop"]),
        ("prod", "istiod-1-22-8", ["pay"]),
    ]
    assert istio("tag", "remove", "prod", code=7).error["detail"] == "pay"
    assert istio("plan", "--exit-code").changes == {}
    # in place it would keep its name, which tells another version then
    (named,) = (
        finding
        for finding in istio("plan", "--to", "1.23.6").data["findings"]
        if "keeps its name" in finding["message"]
    )
    assert (named["level"], named["subject"]) == ("warning", "istiod-1-22-8")


def _second_canary(istio: Program, cluster: Reader) -> None:
    istio("canary", "start", "--to", "1.24.6")
    istio("canary", "move", "--all", "--yes")
    assert injected(cluster, "pay") == injected(cluster, "shop") == ("1.24.6", "1-24-6")
    # the tags belong to the new release already, and still lead to the old istiod
    killed_at(istio, "istiod-1-24-6: started: upgrade", "canary", "promote", "--yes")
    assert injected(cluster, "default", **{"sidecar.istio.io/inject": "true"})[1] in {"1-22-8", "1-24-6"}
    istio("canary", "promote", "--yes")
    # what leads to the old istiod leads to the new one, without having been away
    assert (labels_of(cluster, "shop"), labels_of(cluster, "pay")) == (
        {"istio-injection": "enabled"},
        {"istio.io/rev": "prod"},
    )
    assert injected(cluster, "pay") == injected(cluster, "shop") == ("1.24.6", "1-24-6")
    assert validators(cluster) == {
        "istiod-default-validator": {"istiod-1-24-6"},
        "istio-validator-1-24-6-istio-system": {"istiod-1-24-6"},
    }
    assert refuses_what_is_wrong(cluster)
