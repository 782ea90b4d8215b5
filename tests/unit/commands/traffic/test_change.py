"""Recipes on a Service, from the order to the objects."""

from __future__ import annotations

import pytest

from nksmesh.commands.traffic.change import Order, TrafficPlan, TrafficResult, plan_traffic, write_traffic
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError, RefusedError
from nksmesh.domain.common.findings import Level
from nksmesh.domain.kube.objects import ObjectRef
from tests.unit.fakes.bookinfo import (
    CLUSTERS,
    PRODUCTPAGE,
    REVIEWS,
    SLEEP,
    clusters,
    made_by,
    namespace,
    recipe,
    recipes,
    service,
    virtual_service,
)
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.runtime import runtime_of


@pytest.fixture
def bookinfo(cluster: FakeCluster) -> FakeCluster:
    for manifest in (namespace(), service(), service("ratings"), *REVIEWS, PRODUCTPAGE):
        cluster.objects.put(manifest)
    return cluster


def order(line: str = "", *, reset: str = "", write: bool = True, subject: str = "reviews") -> Order:
    new = recipe(line) if line else None
    return Order(service=subject, namespace="default", new=new, reset=reset, write=write)


async def plan(cluster: FakeCluster, wanted: Order) -> TrafficPlan:
    return await plan_traffic(wanted, recipes(), runtime_of(cluster))


async def write(cluster: FakeCluster, wanted: Order) -> TrafficResult:
    shown = await plan(cluster, wanted)
    result = await write_traffic(shown, wanted, recipes(), runtime_of(cluster))
    for ref, manifest in cluster.objects.stored.items():
        if ref in result.written:  # the API server notes who wrote it
            cluster.objects.stored[ref] = made_by("nksmesh", manifest)
    return result


async def test_what_is_printed_is_not_written_and_only_reads(bookinfo: FakeCluster) -> None:
    shown = await plan(bookinfo, order("shift v1=80 v2=20", write=False))
    assert [manifest["kind"] for manifest in shown.objects] == ["VirtualService", "DestinationRule"]
    assert shown.effects == ("nksmesh traffic show reviews -n default --live 30s prints the split of real requests.",)
    assert {method for method, _ in bookinfo.objects.calls} == {"get", "list"}
    assert [finding.id for finding in shown.findings] == ["traffic.version-left-out"]


async def test_subsets_come_before_the_routes_that_name_them_and_go_after(bookinfo: FakeCluster) -> None:
    first = await write(bookinfo, order("shift v1=80 v2=20"))
    assert [str(ref) for ref in first.written] == ["DestinationRule default/reviews", "VirtualService default/reviews"]
    assert len(bookinfo.objects.asked("ask")) == 4  # before the question, and again behind the lease
    last = await write(bookinfo, order())
    assert [str(ref) for ref in last.written] == ["VirtualService default/reviews", "DestinationRule default/reviews"]
    assert bookinfo.objects.asked("delete") == [str(ref) for ref in last.written]


async def test_a_second_recipe_joins_the_first_ones_objects_and_one_can_be_reset(bookinfo: FakeCluster) -> None:
    await write(bookinfo, order("shift v1=80 v2=20"))
    second = await write(bookinfo, order("timeout timeout=2s"))
    assert [str(ref) for ref in second.written] == ["VirtualService default/reviews"]
    assert [str(entry) for entry in second.plan.recipes] == ["shift v1=80 v2=20", "timeout timeout=2s"]
    (change,) = second.plan.diff
    assert change.change == "changed"
    assert any(line.startswith("+") and "timeout" in line for line in change.lines)
    await write(bookinfo, order("circuit-breaker"))
    left = await write(bookinfo, order(reset="shift"))
    (route,) = left.plan.objects[0]["spec"]["http"]
    assert route == {"route": [{"destination": {"host": "reviews"}}], "timeout": "2s"}
    assert [str(ref) for ref in left.written] == ["VirtualService default/reviews", "DestinationRule default/reviews"]
    assert "subsets" not in bookinfo.objects.stored[left.written[1]]["spec"]


async def test_what_is_so_already_is_not_written(bookinfo: FakeCluster) -> None:
    await write(bookinfo, order("shift v1=80 v2=20"))
    assert (await plan(bookinfo, order("shift v1=80 v2=20"))).empty
    assert (await plan(bookinfo, order(subject="ratings"))).empty


async def test_anothers_object_is_refused_and_the_yaml_is_there(bookinfo: FakeCluster) -> None:
    bookinfo.objects.put(made_by("argocd-controller", virtual_service("reviews", ["reviews"])))
    refused = await plan(bookinfo, order("shift v1=80 v2=20"))
    assert refused.empty
    assert refused.objects
    (error,) = TrafficResult(plan=refused).errors
    assert isinstance(error, ClusterError)
    assert "belongs to Argo CD" in error.message
    assert bookinfo.objects.asked("ask") == []
    printed = await plan(bookinfo, order("shift v1=80 v2=20", write=False))
    assert not TrafficResult(plan=printed).errors
    assert [f.id for f in printed.findings if f.level is Level.WARNING] == ["traffic.foreign-object"]


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("shift v1=80 v2=10", ConfigError, "the weights add up to 90, not to 100"),
        ("shift v1=80 v3=20", CheckError, "version v3"),
    ],
)
async def test_nothing_is_made_of_what_is_wrong(
    bookinfo: FakeCluster, line: str, error: type[Exception], words: str
) -> None:
    for write_it in (True, False):
        with pytest.raises(error, match=words):
            await plan(bookinfo, order(line, write=write_it))


async def test_a_recipe_that_is_not_applied_cannot_be_reset(bookinfo: FakeCluster) -> None:
    await write(bookinfo, order("timeout timeout=2s"))
    with pytest.raises(ConfigError, match="recipe 'timout' is not applied to reviews") as refused:
        await plan(bookinfo, order(reset="timout"))
    assert refused.value.hint == "Did you mean 'timeout'? The applied recipes are timeout."


async def test_anothers_route_for_the_host_does_not_keep_ours_from_going(bookinfo: FakeCluster) -> None:
    await write(bookinfo, order("timeout timeout=2s"))
    bookinfo.objects.put(made_by("kubectl", virtual_service("mine", ["reviews"])))
    assert (await plan(bookinfo, order("timeout timeout=3s"))).refused
    assert len((await write(bookinfo, order())).written) == 1


async def test_what_a_deleted_service_left_behind_can_go_and_nothing_else_of_it(bookinfo: FakeCluster) -> None:
    await write(bookinfo, order("shift v1=80 v2=20"))
    await write(bookinfo, order("timeout timeout=2s"))
    await bookinfo.objects.delete(ObjectRef("v1", "Service", "reviews", "default"))
    with pytest.raises(ConfigError, match="there is no Service 'reviews'"):
        await plan(bookinfo, order(reset="timeout"))
    with pytest.raises(ConfigError, match="there is no Service 'reviews'"):
        await plan(bookinfo, order("timeout timeout=2s"))
    assert len((await plan(bookinfo, order())).removed) == 2


async def test_callers_of_namespaces_that_may_not_be_seen_are_said_to_be_unknown(bookinfo: FakeCluster) -> None:
    bookinfo.objects.refuses["Pod", ""] = RefusedError("no", hint="", status=403, reason="Forbidden")
    bookinfo.pods.answers = {(pod["metadata"]["name"], "cat"): [""] for pod in REVIEWS}
    shown = await plan(bookinfo, order("mutual-tls mode=STRICT", write=False))
    assert [found.id for found in shown.findings] == ["traffic.unseen-callers"]


async def test_what_istiod_refuses_stops_everything_before_the_question(bookinfo: FakeCluster) -> None:
    bookinfo.objects.fails["ask"] = RefusedError("no", hint="", status=400, reason="BadRequest", detail="webhook")
    with pytest.raises(RefusedError):
        await plan(bookinfo, order("shift v1=80 v2=20"))
    assert bookinfo.objects.asked("apply") == []


async def test_no_more_is_written_than_was_shown(bookinfo: FakeCluster) -> None:
    wanted = order("timeout timeout=2s")
    shown = await plan(bookinfo, wanted)
    await write(bookinfo, order("shift v1=80 v2=20"))
    with pytest.raises(ClusterError, match="traffic would now change more than was shown: apply VirtualService"):
        await write_traffic(shown, wanted, recipes(), runtime_of(bookinfo))


async def test_strict_and_a_first_allow_name_who_they_cut_off(bookinfo: FakeCluster) -> None:
    bookinfo.objects.put(SLEEP)
    tcp = "   1: 0100000A:3A9E 0800000A:D431 01 00000000:00000000\n"
    bookinfo.pods.answers = {
        **{(pod["metadata"]["name"], "cat"): [tcp] for pod in REVIEWS},
        **{(pod["metadata"]["name"], CLUSTERS): [clusters({})] for pod in REVIEWS},
        ("productpage", CLUSTERS): [clusters({"10.0.0.1": (3, 0)})],
    }
    strict = await plan(bookinfo, order("mutual-tls mode=STRICT", write=False))
    assert [(found.id, found.message.rpartition(": ")[2]) for found in strict.findings] == [
        ("traffic.cut-off-callers", "default/sleep")
    ]
    allow = await plan(bookinfo, order("authorization from=default/other", write=False))
    assert [(found.id, found.message.rpartition(": ")[2]) for found in allow.findings] == [
        ("traffic.cut-off-callers", "default/productpage")
    ]
    assert not (await plan(bookinfo, order("mutual-tls mode=PERMISSIVE", write=False))).findings


async def test_proxies_that_do_not_tell_who_is_connected_are_named(bookinfo: FakeCluster) -> None:
    refused = ClusterError("cat failed", hint="", detail="cat: not found\nmore")
    bookinfo.pods.answers = {(pod["metadata"]["name"], "cat"): refused for pod in REVIEWS}
    (found,) = (await plan(bookinfo, order("mutual-tls mode=STRICT", write=False))).findings
    assert found.id == "traffic.silent-proxies"
    assert found.message.startswith("3 proxies do not answer, and who is connected to them is not known: ")
    assert found.message.endswith(" (cat: not found)")


async def test_proxies_that_do_not_answer_leave_it_open_who_calls(bookinfo: FakeCluster) -> None:
    shut = ClusterError("port 15000 of pod x does not answer", hint="", detail="connection refused")
    names = [pod["metadata"]["name"] for pod in (*REVIEWS, PRODUCTPAGE)]
    bookinfo.pods.answers = {(name, CLUSTERS): shut for name in names}
    shown = await plan(bookinfo, order("authorization from=default/other", write=False))
    assert [found.id for found in shown.findings] == ["traffic.unknown-callers"]
    bookinfo.pods.answers["productpage", CLUSTERS] = [clusters({"10.0.0.1": (3, 0)})]
    shown = await plan(bookinfo, order("authorization from=default/other", write=False))
    assert [found.id for found in shown.findings] == ["traffic.silent-proxies", "traffic.cut-off-callers"]
    assert "connection refused" in shown.findings[0].message


async def test_a_whole_namespace_can_be_protected(bookinfo: FakeCluster) -> None:
    bookinfo.pods.answers = {(pod["metadata"]["name"], "cat"): [""] for pod in (*REVIEWS, PRODUCTPAGE)}
    done = await write(bookinfo, order("mutual-tls mode=STRICT", subject="*"))
    assert [str(ref) for ref in done.written] == ["PeerAuthentication default/namespace-mutual-tls"]
    assert (await plan(bookinfo, order(subject="*"))).removed == done.written
