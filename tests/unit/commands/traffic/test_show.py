"""What stands on Services, and what was counted."""

from __future__ import annotations

import pytest

from nksmesh.commands.traffic.show import show_traffic
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError
from nksmesh.domain.traffic.objects import Subject, make_objects
from tests.unit.fakes.bookinfo import (
    CLUSTERS,
    PRODUCTPAGE,
    REVIEWS,
    SLEEP,
    clusters,
    made_by,
    namespace,
    pod,
    recipe,
    recipes,
    service,
    virtual_service,
)
from tests.unit.fakes.cluster import FakeCluster

SUBJECT = Subject(service="reviews", namespace="default", selector={"app": "reviews"}, versions=("v1", "v2"))
GATEWAY = pod("ingress", "10.0.1.1", namespace="istio-system", app="ingress", account="ingress")


@pytest.fixture
def bookinfo(cluster: FakeCluster) -> FakeCluster:
    made = make_objects(SUBJECT, [recipe("shift v1=80 v2=20"), recipe("access-log")]).manifests
    for manifest in (namespace(), service(), *REVIEWS, PRODUCTPAGE, SLEEP, GATEWAY):
        cluster.objects.put(manifest)
    for owned in made:
        cluster.objects.put(made_by("nksmesh", owned))
    idle = [clusters({"10.0.0.1": (0, 0)})]
    cluster.pods.answers = {(name, CLUSTERS): idle for name in ("reviews-v1", "reviews-v2", "reviews-v3", "ingress")}
    cluster.pods.answers["productpage", CLUSTERS] = [
        clusters({"10.0.0.1": (1000, 10), "10.0.0.2": (100, 0)}),
        clusters({"10.0.0.1": (1404, 14), "10.0.0.2": (196, 0)}),
    ]
    return cluster


async def test_all_services_of_a_namespace_or_one_with_its_versions(bookinfo: FakeCluster) -> None:
    shown = await show_traffic("", "default", recipes(), bookinfo)
    (only,) = shown.services
    assert (only.service, [str(entry) for entry in only.recipes]) == ("reviews", ["shift v1=80 v2=20", "access-log"])
    (one,) = (await show_traffic("reviews", "default", recipes(), bookinfo)).services
    assert [version.name for version in one.versions] == ["v1", "v2", "v3"]
    assert {str(ref) for ref in one.objects} == {
        "VirtualService default/reviews",
        "DestinationRule default/reviews",
        "Telemetry default/reviews-telemetry",
    }
    assert not (await show_traffic("*", "default", recipes(), bookinfo)).services[0].recipes


async def test_who_else_is_in_the_way_is_said(bookinfo: FakeCluster) -> None:
    bookinfo.objects.put(virtual_service("mine", ["reviews"]))
    shown = await show_traffic("reviews", "default", recipes(), bookinfo)
    assert [finding.id for finding in shown.findings] == ["traffic.other-object"]


async def test_the_split_is_what_proxies_counted_in_between(bookinfo: FakeCluster) -> None:
    shown = await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert shown.live is not None
    assert [(row.version, row.requests, row.errors, row.wanted, row.as_wanted) for row in shown.live.versions] == [
        ("v1", 404, 4, 80, True),
        ("v2", 96, 0, 20, True),
        ("v3", 0, 0, 0, True),
    ]
    assert (shown.live.requests, shown.live.proxies) == (500, 5)
    assert [(caller.pod, caller.requests, caller.errors) for caller in shown.live.callers] == [("productpage", 500, 4)]
    assert bookinfo.pods.asked("http_get").count(f"default/productpage:15000{CLUSTERS}") == 2
    assert bookinfo.pods.asked("http").count("default/productpage:15000") == 1


async def test_a_kept_connection_that_is_gone_is_opened_anew(bookinfo: FakeCluster) -> None:
    asked: list[str] = []

    def cut(path: str) -> None:
        asked.append(path)
        if len(asked) == 2:
            raise ClusterError("port 15000 of pod default/productpage does not answer", hint="")

    bookinfo.pods.before_get["productpage"] = cut
    shown = await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert shown.live is not None
    assert (shown.live.requests, shown.findings, len(asked)) == (500, (), 3)
    assert bookinfo.pods.asked("http").count("default/productpage:15000") == 2


async def test_a_proxy_that_does_not_answer_is_named_and_the_others_count(bookinfo: FakeCluster) -> None:
    shut = ClusterError("port 15000 of pod x does not answer", hint="", detail="connection refused")
    bookinfo.pods.answers["ingress", CLUSTERS] = shut
    shown = await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert [finding.id for finding in shown.findings] == ["traffic.silent-proxies"]
    assert "istio-system/ingress (connection refused)" in shown.warnings[0]
    assert shown.live is not None
    assert shown.live.requests == 500


async def test_where_no_proxy_answers_nothing_is_shown(bookinfo: FakeCluster) -> None:
    bookinfo.pods.answers = {key: ["<html>not Envoy</html>"] for key in bookinfo.pods.answers}
    with pytest.raises(ClusterError, match="none of 5 proxies answers on its admin port 15000") as refused:
        await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert "it is not the list of clusters that an Envoy gives" in refused.value.detail


async def test_a_service_without_versions_is_counted_as_one_row(bookinfo: FakeCluster) -> None:
    for name, address in (("reviews-v1", "10.0.0.1"), ("reviews-v2", "10.0.0.2"), ("reviews-v3", "10.0.0.3")):
        bookinfo.objects.put(pod(name, address, version=""))
    shown = await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert shown.services[0].versions == ()
    assert shown.live is not None
    assert [(row.version, row.requests, row.wanted) for row in shown.live.versions if row.requests] == [("", 500, 0)]


async def test_a_namespace_that_is_being_deleted_is_not_counted(bookinfo: FakeCluster) -> None:
    bookinfo.objects.put(namespace(deletionTimestamp="2026-11-26T00:00:00Z"))
    with pytest.raises(ClusterError, match="namespace default is being deleted, with everything in it") as refused:
        await show_traffic("reviews", "default", recipes(), bookinfo, seconds=0.0)
    assert refused.value.hint == "Wait until it is gone, or pass another namespace with -n."


async def test_without_a_proxy_nobody_counts(cluster: FakeCluster) -> None:
    for manifest in (namespace(), service(), SLEEP):
        cluster.objects.put(manifest)
    with pytest.raises(CheckError, match="nobody counts requests"):
        await show_traffic("reviews", "default", recipes(), cluster, seconds=0.0)
    with pytest.raises(ConfigError, match="there is no Service 'rewiews'"):
        await show_traffic("rewiews", "default", recipes(), cluster)
