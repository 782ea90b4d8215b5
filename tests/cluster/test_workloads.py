"""Workloads with a sidecar: found, and restarted onto a new proxy within their disruption budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.domain.common.events import Event
from nksmesh.domain.kube.restarts import Outcome, RestartResult
from nksmesh.domain.kube.workloads import Workload, on_other_proxy
from nksmesh.engine.waiting import WaitOptions
from nksmesh.engine.workloads import injected_workloads, restart_workloads
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader
from tests.unit.fakes.runtime import runtime_of

pytestmark = pytest.mark.cluster

OLD = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio/proxyv2:1.20.0"
NEW = "mirror.example/istio/proxyv2:1.20.0"
SHOP = "/apis/apps/v1/namespaces/shop"


def template(name: str) -> Object:
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "example/app:1"}]}}


def workload(name: str, replicas: int = 1, **spec: Any) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": template(name), **spec},
    }


def budget(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, **spec}}


def furnish(cluster: Reader) -> None:
    """Make a shop whose namespace is labelled for injection, and wait until its pods run and its budgets are known."""
    labels = {"istio-injection": "enabled"}
    for namespace in ("shop", "yard"):
        cluster.post("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        cluster.until(account, bool, fieldSelector="metadata.name=default")
    rolling = {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    cluster.post(f"{SHOP}/deployments", workload("cart", 2, strategy=rolling))
    cluster.post(f"{SHOP}/deployments", workload("lone", strategy={"type": "Recreate"}))
    cluster.post(f"{SHOP}/deployments", workload("halted"))
    cluster.post(f"{SHOP}/statefulsets", workload("db", 2, serviceName="db"))
    cluster.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "tool"}, "spec": template("tool")["spec"]})
    agent = workload("agent")
    del agent["spec"]["replicas"]
    cluster.post("/apis/apps/v1/namespaces/yard/daemonsets", agent)
    for name, least in (("cart", 1), ("lone", 1), ("db", 1)):
        cluster.post("/apis/policy/v1/namespaces/shop/poddisruptionbudgets", budget(name, minAvailable=least))
    cluster.until(
        "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
        lambda found: (
            {one["metadata"]["name"]: (one.get("status") or {}).get("currentHealthy") for one in found}
            == {"cart": 2, "lone": 1, "db": 2}
        ),
    )
    cluster.merge(f"{SHOP}/deployments/halted", {"spec": {"paused": True}})


def run(sandbox: Sandbox, act: Callable[[Cluster], Any]) -> Any:
    async def connected() -> Any:
        async with await Cluster.connect(kubeconfig=sandbox.kubeconfig, context=sandbox.context) as cluster:
            return await act(cluster)

    return asyncio.run(connected())


def found(sandbox: Sandbox, *namespaces: str) -> dict[str, Workload]:
    some = run(sandbox, lambda cluster: injected_workloads(cluster, namespaces=namespaces or None))
    return {str(one): one for one in some}


def restarted(sandbox: Sandbox, some: list[Workload], *, seconds: float = 60) -> dict[str, tuple[Outcome, str]]:
    said: list[Event] = []
    result: RestartResult = run(
        sandbox,
        lambda cluster: restart_workloads(
            some, runtime_of(cluster, waits=WaitOptions(component=seconds), listener=said.append), proxy_image=NEW
        ),
    )
    assert {event.step for event in said} == {str(one) for one in some}
    return {str(restart.workload): (restart.outcome, restart.message) for restart in result.restarts}


def test_workloads_are_restarted_onto_the_new_proxy_within_their_budgets(
    mesh: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    mesh("install", "--region", "kr1")
    furnish(cluster)
    some = found(sandbox)
    gateway = some.pop("Deployment istio-system/istio-ingressgateway")
    assert gateway.helm_release == ("istio-ingressgateway", "istio-system")
    assert {name: (one.pods, one.proxies, one.istio_revisions) for name, one in some.items()} == {
        "DaemonSet yard/agent": (len(cluster.items("/api/v1/nodes")), (OLD,), ("default",)),
        "Deployment shop/cart": (2, (OLD,), ("default",)),
        "Deployment shop/halted": (1, (OLD,), ("default",)),
        "Deployment shop/lone": (1, (OLD,), ("default",)),
        "Pod shop/tool": (1, (OLD,), ("default",)),
        "StatefulSet shop/db": (2, (OLD,), ("default",)),
    }
    assert set(found(sandbox, "yard")) == {"DaemonSet yard/agent"}
    mesh("install", "--hub", "mirror.example/istio")
    assert on_other_proxy(found(sandbox, "istio-system").values(), NEW) == ()

    outcomes = restarted(sandbox, list(on_other_proxy(found(sandbox).values(), NEW)))
    assert {name: outcome.value for name, (outcome, _) in outcomes.items()} == {
        "DaemonSet yard/agent": "restarted",
        "Deployment shop/cart": "restarted",
        "Deployment shop/halted": "not restartable",
        "Deployment shop/lone": "held back",
        "Pod shop/tool": "not restartable",
        "StatefulSet shop/db": "restarted",
    }
    assert outcomes["StatefulSet shop/db"][1] == f"2 pods on {NEW}"
    assert "PodDisruptionBudget lone never allows more than 0" in outcomes["Deployment shop/lone"][1]
    assert "paused" in outcomes["Deployment shop/halted"][1]
    assert "delete it and create it again" in outcomes["Pod shop/tool"][1]
    stale = on_other_proxy(found(sandbox).values(), NEW)
    assert [str(one) for one in stale] == ["Deployment shop/halted", "Deployment shop/lone", "Pod shop/tool"]

    # a rollout that breaks ends it, early and with its reason
    asyncio.run(sandbox.fail(Failure.IMAGE, selector="app=cart"))
    both = [
        one for name, one in found(sandbox, "shop").items() if name in {"Deployment shop/cart", "StatefulSet shop/db"}
    ]
    broken = restarted(sandbox, both)
    assert broken["StatefulSet shop/db"][0] is Outcome.NOT_BEGUN
    outcome, message = broken["Deployment shop/cart"]
    assert outcome is Outcome.FAILED
    assert "Deployment shop/cart cannot become ready: Pod shop/cart-" in message
    assert "ErrImagePull" in message
    # what is not rolled out is not restarted
    again = restarted(sandbox, [one for one in both if one.name == "cart"], seconds=1)
    assert again["Deployment shop/cart"][0] is Outcome.HELD_BACK
    assert "its last rollout is not finished" in again["Deployment shop/cart"][1]
    asyncio.run(sandbox.heal())
