"""Moving namespaces to a canary and back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.canary.move import MoveResult, move, plan_move
from nksmesh.commands.canary.start import LABELS_BEFORE
from nksmesh.commands.canary.steps import move_steps
from nksmesh.domain.common.errors import (
    ClusterError,
    ConfigError,
    InterruptedRunError,
    NotReadyError,
    RefusedError,
)
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.restarts import Outcome as RestartOutcome
from nksmesh.domain.kube.restarts import Restart
from nksmesh.domain.mesh.record import Canary
from nksmesh.domain.plan.history import Outcome
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import INGRESS
from tests.unit.fakes.canaries import CART, LATER, canary, deployment, kept, namespace, on_proxies, pod, record
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.runtime import runtime_of


async def test_all_are_those_that_follow_the_meshs_own_istiod(mesh: FakeCluster, helm: FakeHelm) -> None:
    plan = await plan_move((), mesh, helm, "", everything=True, back=False)
    assert [(one.namespace, one.after) for one in plan.moves] == [
        ("shop", {"istio.io/rev": "1-22-8"}),
        ("pay", {"istio.io/rev": "1-22-8"}),
    ]
    assert [len(one.workloads) for one in plan.moves] == [1, 0]


@pytest.mark.parametrize("name", ["off", "none"])
async def test_one_that_follows_nobody_is_not_moved(mesh: FakeCluster, helm: FakeHelm, name: str) -> None:
    with pytest.raises(ConfigError, match="uses no istiod"):
        await plan_move([name], mesh, helm, "", everything=False, back=False)


async def test_one_that_is_not_there_is_named(mesh: FakeCluster, helm: FakeHelm) -> None:
    with pytest.raises(ConfigError, match="'shopp'"):
        await plan_move(["shopp"], mesh, helm, "", everything=False, back=False)


async def test_every_reason_why_nothing_moves_is_named(mesh: FakeCluster, helm: FakeHelm) -> None:
    with pytest.raises(ConfigError) as caught:
        await plan_move(["shopp", "off", "payy", "none"], mesh, helm, "", everything=False, back=False)
    missing, another, *staying = caught.value.message.split("; ")
    assert (missing, another) == ("there is no namespace 'shopp'", "there is no namespace 'payy'")
    assert [words.split(" (")[0] for words in staying] == [
        f"namespace {name} uses no istiod of this mesh" for name in ("off", "none")
    ]
    assert caught.value.hint == "Run kubectl get namespaces to list them."


async def test_one_that_was_not_moved_does_not_come_back(mesh: FakeCluster, helm: FakeHelm) -> None:
    with pytest.raises(ConfigError, match="was not moved"):
        await plan_move(["shop"], mesh, helm, "", everything=False, back=True)


async def test_nothing_moves_while_a_promotion_is_under_way(mesh: FakeCluster, helm: FakeHelm) -> None:
    mesh.records.kept = {"istio-system": record(canary(promoting=True))}
    with pytest.raises(ConfigError, match="is being promoted"):
        await plan_move(["shop"], mesh, helm, "", everything=False, back=False)


async def test_without_a_canary_there_is_nowhere_to_go(mesh: FakeCluster, helm: FakeHelm) -> None:
    mesh.records.kept = {"istio-system": record()}
    with pytest.raises(ConfigError, match="no canary is installed"):
        await plan_move(["shop"], mesh, helm, "", everything=False, back=False)


async def test_the_meshs_own_gateways_stay(mesh: FakeCluster, helm: FakeHelm) -> None:
    out = replace(INGRESS, name="edge", namespace="edge")
    known = record(canary())
    mesh.records.kept = {"istio-system": replace(known, releases=(*known.releases, kept(out)))}
    gateway = deployment("edge", "edge", "default")
    gateway[0]["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "edge",
        "meta.helm.sh/release-namespace": "edge",
    }
    for one in (*gateway, *deployment("app", "edge", "default")):
        mesh.objects.put(one)
    for name in ("edge", "istio-system"):
        mesh.objects.put(namespace(name, istio_injection="enabled"))
    plan = await plan_move((), mesh, helm, "", everything=True, back=False)
    assert {"edge", "istio-system"}.isdisjoint(one.namespace for one in plan.moves)
    assert [words.split()[1] for words in plan.passed_over] == ["edge", "istio-system"]
    with pytest.raises(ConfigError, match="the control plane's own"):
        await plan_move(["istio-system"], mesh, helm, "", everything=False, back=False)
    (shared,) = (await plan_move(["edge"], mesh, helm, "", everything=False, back=False)).moves
    assert [str(workload) for workload in shared.workloads] == ["Deployment edge/app"]


@pytest.mark.parametrize("now", [None, canary(promoting=True), replace(canary(), release=LATER)])
async def test_nothing_moves_to_a_canary_that_went_while_the_user_was_asked(
    mesh: FakeCluster, helm: FakeHelm, heard: Heard, now: Canary | None
) -> None:
    plan = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
    mesh.records.kept = {"istio-system": record(now)}
    with pytest.raises(ConfigError, match="canary"):
        await move(plan, runtime_of(mesh, listener=heard), back=False)
    assert mesh.objects.asked("merge") == []


async def test_a_workload_that_came_while_the_user_was_asked_is_not_restarted(
    mesh: FakeCluster, helm: FakeHelm, heard: Heard
) -> None:
    plan = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
    on_proxies(mesh, *deployment("late", "shop", "default"))
    with pytest.raises(ClusterError, match="Deployment shop/late is restarted; nothing was changed"):
        await move(plan, runtime_of(mesh, listener=heard), back=False)
    assert mesh.objects.asked("merge") == []


async def test_labels_from_before_are_kept_and_put_back(mesh: FakeCluster, helm: FakeHelm, heard: Heard) -> None:
    on_proxies(mesh, pod("cart", "shop", "default"))

    def metadata() -> tuple[dict[str, str], dict[str, str]]:
        found = mesh.objects.stored[ObjectRef("v1", "Namespace", "shop")]["metadata"]
        return found["labels"], found["annotations"]

    there = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
    result = await move(there, runtime_of(mesh, listener=heard), back=False)
    assert result.moved == ("shop",)
    assert metadata() == ({"istio.io/rev": "1-22-8"}, {LABELS_BEFORE: '{"istio-injection": "enabled"}'})
    assert len(result.warnings) == 1  # a lone pod cannot be restarted: it is said
    back = await plan_move(["shop"], mesh, helm, "", everything=False, back=True)
    assert back.istio_revision == "default"
    await move(back, runtime_of(mesh, listener=heard), back=True)
    assert metadata() == ({"istio-injection": "enabled"}, {})
    assert [run.command for run in mesh.histories.kept["istio-system"].runs] == [
        "canary move shop",
        "canary move --back shop",
    ]


async def test_an_annotation_that_cannot_be_read_is_named(mesh: FakeCluster, helm: FakeHelm) -> None:
    broken = {"metadata": {"annotations": {LABELS_BEFORE: "enabled"}}}
    await mesh.objects.merge(broken, ObjectRef("v1", "Namespace", "pay"))
    with pytest.raises(ConfigError, match="cannot be read"):
        await plan_move((), mesh, helm, "", everything=True, back=True)


def told(heard: Heard, step: str) -> list[tuple[EventKind, str]]:
    """Return what was said of a step."""
    return [(event.kind, event.message) for event in heard.events if event.step == step]


async def test_a_namespace_that_cannot_be_labelled_ends_the_move_with_what_was_done(
    mesh: FakeCluster, helm: FakeHelm, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh.objects.put(namespace("till", istio_injection="enabled"))
    plan = await plan_move(["till", "shop"], mesh, helm, "", everything=False, back=False)
    merge = mesh.objects.merge

    async def refusing(patch: Mapping[str, Any], ref: ObjectRef, **options: Any) -> dict[str, Any]:
        if ref.name == "shop":
            raise RefusedError("a policy refuses the label", hint="h", status=403, reason="Forbidden")
        return await merge(patch, ref, **options)

    monkeypatch.setattr(mesh.objects, "merge", refusing)
    with pytest.raises(RefusedError) as caught:
        await move(plan, runtime_of(mesh, listener=heard), back=False)
    assert caught.value.__notes__ == ["done: namespace till; begun: namespace shop"]
    assert told(heard, "namespace till") == [
        (EventKind.STARTED, "apply"),
        (EventKind.DONE, "labelled istio.io/rev=1-22-8"),
    ]
    assert told(heard, "namespace shop") == [
        (EventKind.STARTED, "apply"),
        (EventKind.FAILED, "a policy refuses the label"),
    ]
    (run,) = mesh.histories.kept["istio-system"].runs
    assert (run.outcome, run.evidence) == (Outcome.FAILED, "done: namespace till; begun: namespace shop")


async def test_a_move_that_is_interrupted_says_what_was_done(mesh: FakeCluster, helm: FakeHelm) -> None:
    plan = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
    assert [str(workload) for workload in plan.moves[0].workloads] == ["Deployment shop/cart"]
    work: list[asyncio.Task[MoveResult]] = []

    def stop(event: Event) -> None:
        if (event.step, event.kind) == ("namespace shop", EventKind.DONE):
            work[0].cancel()

    work.append(asyncio.create_task(move(plan, runtime_of(mesh, listener=stop), back=False)))
    with pytest.raises(InterruptedRunError) as caught:
        await work[0]
    assert caught.value.hint == "Run the same command again to resume."
    assert caught.value.detail == "done: namespace shop"
    (kept,) = mesh.histories.kept["istio-system"].runs
    assert (kept.outcome, kept.evidence) == (Outcome.INTERRUPTED, "done: namespace shop")


async def test_former_labels_are_kept_while_a_restart_on_the_way_back_failed(
    mesh: FakeCluster, runtime: Runtime
) -> None:
    (there,) = (await plan_move(["pay"], mesh, FakeHelm(), "", everything=False, back=True)).moves
    broken = Restart(
        workload=CART, outcome=RestartOutcome.FAILED, message="it broke", error=NotReadyError("it broke", hint="")
    )
    steps = move_steps([replace(there, workloads=())], back=True, proxy_image="p:1")
    assert [step.name for step in steps] == ["namespace pay", "former labels"]
    pay = ObjectRef("v1", "Namespace", "pay")
    await Executor(steps, runtime, progress=Progress(restarts=[broken])).run()
    assert mesh.objects.stored[pay]["metadata"]["labels"] == {"istio-injection": "enabled"}
    assert LABELS_BEFORE in mesh.objects.stored[pay]["metadata"]["annotations"]
    await Executor(steps, runtime).run()
    assert LABELS_BEFORE not in mesh.objects.stored[pay]["metadata"]["annotations"]
