from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.restarts import Outcome, RestartResult
from nksmesh.domain.kube.workloads import RESTARTED_AT, Workload
from nksmesh.engine.waiting import WaitOptions
from nksmesh.engine.workloads import injected_workloads, restart_workloads
from tests.unit.fakes.cluster import FakeCluster, FakeLive, FakeObjects, Heard
from tests.unit.fakes.runtime import runtime_of

OLD, NEW = "registry.example/istio/proxyv2:1.19.0", "registry.example/istio/proxyv2:1.20.0"
FIELDS = {
    "StatefulSet": ("readyReplicas", "updatedReplicas"),
    "DaemonSet": ("numberAvailable", "updatedNumberScheduled"),
}

Object = dict[str, Any]


def found(name: str, kind: str = "StatefulSet", namespace: str = "shop", why: str = "") -> Workload:
    return Workload(
        kind=kind,
        name=name,
        namespace=namespace,
        pods=2,
        proxies=(OLD,),
        istio_revisions=("default",),
        restartable=not why,
        not_restartable=why,
    )


def live(workload: Workload, **status: Any) -> Object:
    """A workload of two pods that is rolled out, unless its status says otherwise."""
    whole = {"readyReplicas": 2, "updatedReplicas": 2, "currentRevision": "a", "updateRevision": "a"}
    daemons = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    deployed = {"replicas": 2, "availableReplicas": 2}
    return {
        "apiVersion": "apps/v1",
        "kind": workload.kind,
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "uid": f"uid-{workload.name}",
            "generation": 1,
        },
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": workload.name}}}},
        "status": {"observedGeneration": 1, **whole, **daemons, **deployed, **status},
    }


def pod(workload: Workload, number: int, stamp: str, **more: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{workload.name}-{number}",
            "namespace": workload.namespace,
            "uid": f"uid-{workload.name}-{number}",
            "creationTimestamp": "2026-01-01T00:00:10Z",
            "annotations": {RESTARTED_AT: stamp},
        },
        "spec": {"containers": [{"name": "istio-proxy", "image": NEW}]},
        "status": {"phase": "Running"},
        **more,
    }


def budget(name: str, allowed: int, *, expected: int = 2, healthy: int = 1) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": name}}},
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "desiredHealthy": healthy,
        },
    }


class Rolling(FakeObjects):
    """Objects whose pods are new ten seconds after a restart, unless ``then`` has something else come of it."""

    def __init__(self, live: FakeLive) -> None:
        super().__init__(live)
        self.then: dict[str, Callable[[Workload, str], object]] = {}
        self.view = live
        self.begun: list[tuple[str, float]] = []

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = "nksmesh"
    ) -> Object:
        del dry_run, manager
        self._note("merge", ref)
        loop = asyncio.get_running_loop()
        self.begun.append((str(ref), loop.time()))
        workload = found(ref.name, ref.kind, ref.namespace)
        stamp = patch["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT]
        loop.call_later(10, lambda: self.then.get(ref.name, self.roll)(workload, stamp))
        merged: Object = live(workload)
        merged["metadata"]["generation"] = 2
        return merged

    def roll(self, workload: Workload, stamp: str) -> None:
        self.view.show(live(workload), *(pod(workload, number, stamp) for number in (0, 1)))


@pytest.fixture
def objects(cluster: FakeCluster) -> Rolling:
    rolling = Rolling(cluster.live)
    cluster.objects = rolling
    return rolling


class Shop:
    """Restarts workloads, and keeps what was said."""

    def __init__(self, cluster: FakeCluster, heard: Heard) -> None:
        self.cluster = cluster
        self.heard = heard

    async def restart(
        self, *some: Workload, proxy: str = NEW, show: bool = True, seconds: float = 300
    ) -> RestartResult:
        if show:
            self.cluster.live.show(*(live(workload) for workload in some if workload.restartable))
        return await restart_workloads(
            some, runtime_of(self.cluster, waits=WaitOptions(component=seconds), listener=self.heard), proxy_image=proxy
        )


@pytest.fixture
def shop(cluster: FakeCluster, objects: Rolling, heard: Heard) -> Shop:
    assert cluster.objects is objects
    return Shop(cluster, heard)


def outcomes(result: RestartResult) -> dict[str, Outcome]:
    return {restart.workload.name: restart.outcome for restart in result.restarts}


async def test_one_after_the_other_namespace_by_namespace(shop: Shop, objects: Rolling) -> None:
    some = (found("web", "Deployment", "yard"), found("db"), found("agent", "DaemonSet"), found("cart", "Deployment"))
    result = await shop.restart(*some)
    assert objects.begun == [
        ("DaemonSet shop/agent", 0),
        ("Deployment shop/cart", 10),
        ("StatefulSet shop/db", 20),
        ("Deployment yard/web", 30),
    ]
    assert result.complete
    assert (result.errors, result.warnings) == ((), ())
    assert {restart.message for restart in result.restarts} == {f"2 pods on {NEW}"}
    assert [restart.seconds for restart in result.restarts] == [10] * 4
    followed, unfollowed = shop.cluster.live.asked("follow"), shop.cluster.live.asked("unfollow")
    assert len(followed) == 2
    assert "PodDisruptionBudget shop" in followed[0]
    assert unfollowed == followed


async def test_what_cannot_be_restarted_is_told_and_left_alone(shop: Shop, objects: Rolling) -> None:
    result = await shop.restart(found("tool", "Pod", why="delete it yourself"))
    assert outcomes(result) == {"tool": Outcome.NOT_RESTARTABLE}
    assert not result.complete
    assert result.warnings == ("Pod shop/tool was not restarted: delete it yourself",)
    assert objects.begun == []
    assert shop.cluster.live.asked("follow") == []
    assert data_of(result)["restarts"][0]["outcome"] == "not restartable"


async def test_a_budget_is_waited_for_while_others_go_on(shop: Shop, objects: Rolling) -> None:
    shop.cluster.live.show(budget("cart", 0), budget("db", 1))
    asyncio.get_running_loop().call_later(50, lambda: shop.cluster.live.show(budget("cart", 1)))
    result = await shop.restart(found("cart"), found("db"))
    assert objects.begun == [("StatefulSet shop/db", 0), ("StatefulSet shop/cart", 50)]
    assert result.complete
    (said,) = [one for one in shop.heard.said(EventKind.WAITING, "StatefulSet shop/cart") if "Budget" in one]
    assert said == "PodDisruptionBudget cart allows 0 now: a restart may take down 1 pod at once"


async def test_a_budget_that_does_not_come_to_allow_it_holds_back_and_the_rest_goes_on(
    shop: Shop, objects: Rolling
) -> None:
    shop.cluster.live.show(budget("cart", 0))
    result = await shop.restart(found("cart"), found("db"), found("web", namespace="yard"))
    assert outcomes(result) == {"db": Outcome.RESTARTED, "cart": Outcome.HELD_BACK, "web": Outcome.RESTARTED}
    assert objects.begun == [("StatefulSet shop/db", 0), ("StatefulSet yard/web", 310)]
    (warning,) = result.warnings
    assert warning.startswith("StatefulSet shop/cart was not restarted: PodDisruptionBudget cart allows 0 now")


async def test_a_budget_that_never_allows_it_is_not_waited_for(shop: Shop, objects: Rolling) -> None:
    shop.cluster.live.show(budget("cart", 0, expected=2, healthy=2))
    result = await shop.restart(found("cart"))
    assert outcomes(result) == {"cart": Outcome.HELD_BACK}
    assert asyncio.get_running_loop().time() == 0
    assert objects.begun == []


async def test_what_is_not_rolled_out_is_not_restarted(shop: Shop, objects: Rolling) -> None:
    shop.cluster.live.show(live(found("cart"), readyReplicas=1))
    result = await shop.restart(found("cart"), found("gone"), show=False)
    assert outcomes(result) == {"gone": Outcome.HELD_BACK, "cart": Outcome.HELD_BACK}
    assert [restart.message for restart in result.restarts] == [
        "it no longer exists",
        "its last rollout is not finished: StatefulSet cart: 1 of 2 replicas ready",
    ]
    assert objects.begun == []
    assert asyncio.get_running_loop().time() == 300


async def test_a_rollout_past_its_deadline_is_not_waited_for(shop: Shop) -> None:
    stuck = {"availableReplicas": 0, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
    shop.cluster.live.show(live(found("cart", "Deployment"), **stuck))
    result = await shop.restart(found("cart", "Deployment"), show=False)
    assert outcomes(result) == {"cart": Outcome.HELD_BACK}
    assert asyncio.get_running_loop().time() == 0


def pulling(words: str) -> Object:
    held = {"waiting": {"reason": "ErrImagePull", "message": words}}
    return {"phase": "Pending", "containerStatuses": [{"name": "istio-proxy", "state": held}]}


async def test_a_rollout_that_fails_ends_it_early_with_the_real_reason(shop: Shop, objects: Rolling) -> None:
    def break_it(workload: Workload, stamp: str) -> None:
        rolling = live(workload, readyReplicas=1, updateRevision="b", updatedReplicas=0)
        shop.cluster.live.show(rolling, pod(workload, 1, stamp, status=pulling("manifest unknown")))

    objects.then["cart"] = break_it
    result = await shop.restart(found("cart"), found("db"), found("web", namespace="yard"))
    assert outcomes(result) == {"cart": Outcome.FAILED, "db": Outcome.NOT_BEGUN, "web": Outcome.NOT_BEGUN}
    assert asyncio.get_running_loop().time() == 10
    (error,) = result.errors
    assert error.exit_code == 6
    assert error.message.startswith("StatefulSet shop/cart cannot become ready: Pod shop/cart-1: ErrImagePull")
    assert shop.heard.said(EventKind.FAILED) == [error.message]
    assert [name for name, _ in objects.begun] == ["StatefulSet shop/cart"]


async def test_a_restart_that_is_refused_ends_it(shop: Shop, objects: Rolling) -> None:
    objects.fails["merge"] = RefusedError("no", hint="ask", status=403, reason="Forbidden")
    result = await shop.restart(found("cart"), found("db"))
    assert outcomes(result) == {"cart": Outcome.FAILED, "db": Outcome.NOT_BEGUN}
    assert result.errors[0].exit_code == 4


@pytest.mark.parametrize(
    ("after", "outcome"), [("2026-01-01T00:00:11Z", Outcome.FAILED), ("2026-01-01T00:00:09Z", None)]
)
async def test_pods_that_cannot_be_made_are_told_unless_one_was_made_since(
    shop: Shop, objects: Rolling, after: str, outcome: Outcome | None
) -> None:
    def refuse(workload: Workload, stamp: str) -> None:
        rolling = live(workload, readyReplicas=1, updateRevision="b", updatedReplicas=1)
        shop.cluster.live.show(rolling, pod(workload, 1, stamp), refusal(workload, "exceeded quota: pods", after))
        asyncio.get_running_loop().call_later(90, lambda: objects.roll(workload, stamp))

    shop.cluster.live.show(refusal(found("cart"), "exceeded quota: old", "2026-01-02T00:00:00Z", "old"))
    objects.then["cart"] = refuse
    result = await shop.restart(found("cart"))
    assert outcomes(result) == {"cart": outcome or Outcome.RESTARTED}
    if outcome:
        assert "StatefulSet shop/cart: FailedCreate" in result.errors[0].message


def refusal(workload: Workload, words: str, at: str, name: str = "new") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": workload.namespace},
        "involvedObject": {"uid": f"uid-{workload.name}"},
        "reason": "FailedCreate",
        "message": words,
        "lastTimestamp": at,
    }


async def test_pods_that_come_back_on_another_proxy_are_said_not_to_be_restarted(shop: Shop, objects: Rolling) -> None:
    def roll(workload: Workload, stamp: str) -> None:
        bare = pod(workload, 1, stamp, spec={"containers": [{"name": "app", "image": "app:1"}]})
        shop.cluster.live.show(live(workload), pod(workload, 0, stamp), bare)

    objects.then["cart"] = roll
    result = await shop.restart(found("cart"))
    assert outcomes(result) == {"cart": Outcome.OTHER_PROXY}
    (warning,) = result.warnings
    assert warning.startswith("StatefulSet shop/cart: 2 pods on no proxy, ")
    assert "istio-injection" in warning
    assert (await shop.restart(found("cart"), proxy="")).complete


async def test_new_pods_are_waited_for_when_the_workload_is_seen_first(shop: Shop, objects: Rolling) -> None:
    def roll(workload: Workload, stamp: str) -> None:
        shop.cluster.live.show(live(workload), pod(workload, 0, stamp))
        asyncio.get_running_loop().call_later(3, lambda: shop.cluster.live.show(pod(workload, 1, stamp)))

    objects.then["cart"] = roll
    result = await shop.restart(found("cart"))
    assert result.restarts[0].seconds == 13
    assert "1 of 2 new pods to appear" in shop.heard.said(EventKind.WAITING)


async def test_slow_pods_have_the_whole_time_of_each_round(shop: Shop, objects: Rolling) -> None:
    """A user's own pods may take longer than the grace that a gateway's probe has."""
    unready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}

    def roll(workload: Workload, stamp: str) -> None:
        slow = pod(workload, 1, stamp, status=unready)
        said = {**refusal(workload, "Readiness probe failed", "2026-01-01T00:00:20Z"), "reason": "Unhealthy"}
        said["involvedObject"] = {"uid": slow["metadata"]["uid"]}
        shop.cluster.live.show(live(workload, readyReplicas=1), slow, said)
        asyncio.get_running_loop().call_later(150, lambda: objects.roll(workload, stamp))

    objects.then["cart"] = roll
    result = await shop.restart(found("cart"), seconds=170)
    assert result.complete
    objects.then["cart"] = lambda workload, stamp: asyncio.get_running_loop().call_later(190, roll, workload, stamp)
    assert not (await shop.restart(found("cart"), seconds=170)).complete


async def test_injected_workloads_are_looked_for_everywhere_or_in_namespaces(cluster: FakeCluster) -> None:
    for namespace in ("shop", "yard"):
        one = pod(found("tool", namespace=namespace), 0, "")
        cluster.objects.put(one)
    assert [str(workload) for workload in await injected_workloads(cluster)] == ["Pod shop/tool-0", "Pod yard/tool-0"]
    assert [str(workload) for workload in await injected_workloads(cluster, namespaces=["yard"])] == ["Pod yard/tool-0"]
    assert await injected_workloads(cluster, namespaces=[]) == ()
