"""A tag that goes to a canary and back, a promotion that is killed, and the canary aborted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.cluster.state import changed, state_of
from tests.conformance.belongings import assert_kept, furnish
from tests.conformance.canaries import HUB, INGRESS, injected, killed_at, proxies

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]


def test_a_promotion_that_was_killed_can_be_aborted(istio: Program, cluster: Reader, helm4: str) -> None:
    istio = replace(istio, helm=helm4, waits=240)
    istio("install", "--version", "1.20.1", "--hub", HUB)
    made = furnish(cluster)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "pay", "labels": {"istio.io/rev": "prod"}}})
    istio("tag", "set", "prod")  # an istiod without a revision may have tags, too
    before = state_of(cluster)
    istio("canary", "start", "--to", "1.22.8")
    assert injected(cluster, "pay") == ("1.20.1", "default")
    istio("tag", "set", "prod", "--revision", "1-22-8")
    assert injected(cluster, "pay") == ("1.22.8", "1-22-8")
    istio("tag", "set", "prod")
    assert injected(cluster, "pay") == ("1.20.1", "default")

    istio("canary", "move", "shop", "--yes")
    assert (proxies(cluster, "app=cart", "shop"), proxies(cluster, INGRESS)) == ({"1.22.8"}, {"1.20.1"})
    # the old injector is gone, the default is the canary's, and the first gateway is on its way
    killed_at(istio, "restart istio-ingressgateway: started", "canary", "promote", "--yes")
    assert injected(cluster, "pay") == injected(cluster, "shop") == ("1.22.8", "1-22-8")
    assert "canary promote" in istio("canary", "move", "--all", "--yes", code=2).error["hint"]

    ended = istio("canary", "abort", "--yes").data
    assert ended["newer"] == ["base and the CRDs stay at 1.22.8: they are never downgraded"]
    assert injected(cluster, "pay") == injected(cluster, "shop") == ("1.20.1", "default")
    assert (proxies(cluster, "app=cart", "shop"), proxies(cluster, INGRESS)) == ({"1.20.1"}, {"1.20.1"})
    assert_kept(cluster, made)
    assert istio("plan", "--exit-code").changes == {}
    # base is the canary's chart, which serves later versions of the user's objects; the rest is as it was, labels too
    left = {ref.name for ref in changed(before, state_of(cluster)) if ".istio.io/" not in ref.api_version}
    assert left <= {"istiod-default-validator", "istio-reader-service-account"}, left

    assert istio("tag", "remove", "prod", code=7).error["detail"] == "pay"
    assert istio("tag", "remove", "prod", "--yes").data["tags"] == []
    assert injected(cluster, "pay") == ("", "")
