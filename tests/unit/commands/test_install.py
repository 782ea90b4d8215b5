"""Whole runs over fakes, on a catalog of one region: plan, hold, make sure, apply, record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nksmesh.commands.plan import template
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import (
    ChartError,
    CheckError,
    ClusterError,
    ConfigError,
    HeldError,
    RefusedError,
    ReleaseError,
)
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.mesh import GatewaySpec
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.plan.plan import Action
from nksmesh.domain.values.set_values import parse_set
from tests.unit.domain.meshes import BASE, EDGE, HUB, INGRESS, ISTIOD, chart, installed
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import (
    NAMESPACE,
    PROXY,
    crd,
    deployment,
    pod,
    pulling,
    replica_set,
    service,
)
from tests.unit.fakes.world import AGAIN, INJECTOR, REQUEST, World


@pytest.fixture
def world(cluster: FakeCluster, heard: Heard) -> World:
    return World(cluster, heard)


async def test_a_fresh_install_is_recorded_before_and_after(world: World) -> None:
    result = await world.install()
    assert world.wrote() == ["install istio-base", "install istiod", f"install {INGRESS.name}"]
    assert world.cluster.records.asked("write") == [
        f"istio-base@0, istiod@0, {INGRESS.name}@0",
        f"istio-base@1, istiod@1, {INGRESS.name}@1",
    ]
    data = data_of(result)
    assert data["done"][-1]["name"] == INGRESS.name
    assert (data["hub"], data["proxy_image"], data["dry_run"]) == (HUB, PROXY, False)
    assert world.helm.asked("prove_same_cluster") == ["uid-1"]


async def test_a_second_run_writes_nothing_at_all(world: World) -> None:
    await world.install()
    world.helm.calls.clear()
    world.cluster.records.calls.clear()
    result = await world.install(AGAIN)
    assert not result.plan.changes
    assert world.helm.calls == []
    assert world.cluster.records.asked("write") == []
    assert any("as installed" in note for note in result.plan.notes)
    assert result.progress.outcomes[-1].message == f"1 pod of {INGRESS.name} on {PROXY}"
    assert world.cluster.lease.asked("held") == ["install"]  # the first run's: a lease is an object, too


async def test_a_run_with_nothing_to_do_does_not_go_beside_a_run_that_holds_the_mesh(world: World) -> None:
    await world.install()
    world.cluster.lease.fails["held"] = HeldError("another run", hint="wait")
    with pytest.raises(HeldError):
        await world.install(AGAIN)


async def test_a_run_that_has_a_pod_tried_again_holds_the_mesh_while_it_deletes_it(world: World) -> None:
    await world.install()
    stuck = pulling(INGRESS.name, "manifest unknown")
    world.cluster.objects.put(stuck)
    world.cluster.live.show(deployment(INGRESS.name, available=False), replica_set(INGRESS.name), stuck)
    again = (deployment(INGRESS.name), pod(INGRESS.name, name=f"{INGRESS.name}-1-y"))
    asyncio.get_running_loop().call_later(1, lambda: world.cluster.live.show(*again))
    await world.install(AGAIN)
    assert world.cluster.objects.asked("delete") == [f"Pod {NAMESPACE}/{stuck['metadata']['name']}"]
    assert world.cluster.lease.asked("held") == ["install", "install"]


async def test_a_run_with_nothing_to_do_plans_anew_where_somebody_wrote_meanwhile(world: World) -> None:
    await world.install()
    revisions = world.cluster.storage.revisions

    async def meanwhile(releases: Iterable[Release]) -> dict[tuple[str, str], tuple[int, str]]:
        world.cluster.storage.revisions = revisions  # type: ignore[method-assign]
        world.helm.keep(BASE, {})
        return await revisions(releases)

    world.cluster.storage.revisions = meanwhile  # type: ignore[method-assign]
    world.charts.calls.clear()
    await world.install(AGAIN)
    assert world.cluster.lease.asked("held") == ["install", "install"]
    assert len(world.charts.calls) == 2


async def test_a_dry_run_touches_nothing(world: World) -> None:
    assert data_of(await world.install(dry_run=True))["dry_run"] is True
    assert world.wrote() == []
    assert world.cluster.lease.calls == []
    assert world.cluster.records.asked("write") == []


async def test_a_plan_says_whether_there_are_changes_by_its_exit_code(world: World) -> None:
    assert (await world.preview(exit_code=True)).exit_code == 10
    assert (await world.preview()).exit_code == 0
    await world.install()
    assert (await world.preview(exit_code=True)).exit_code == 0


async def test_a_plans_diff_is_that_of_what_is_written(world: World) -> None:
    data = data_of(await world.preview(diff=True))
    assert {one["change"] for one in data["diff"]} == {"added"}
    assert "diff" not in data_of(await world.preview())
    await world.install()
    assert data_of(await world.preview(diff=True))["diff"] == []


async def test_a_release_without_a_record_is_compared_with_what_the_chart_renders(world: World) -> None:
    await world.install()
    world.cluster.records.kept.clear()
    assert not (await world.preview()).plan.changes
    world.helm.renders[INGRESS.name] = [deployment(INGRESS.name, image="auto")]
    plan = (await world.preview()).plan
    assert plan.releases[INGRESS.name].reasons == ("its manifest differs from what the chart renders",)


async def test_a_failed_run_leaves_a_record_that_proves_nothing_and_the_next_one_goes_on(world: World) -> None:
    world.helm.fails_on[INGRESS.name] = ReleaseError("helm install failed", hint="x")
    with pytest.raises(ReleaseError):
        await world.install()
    assert {recorded.helm_revision for recorded in world.cluster.records.kept[NAMESPACE].releases} == {0}
    world.helm.fails_on.clear()
    world.helm.calls.clear()
    await world.install(AGAIN)
    assert world.wrote() == [f"install {INGRESS.name}"]


async def test_what_another_run_did_meanwhile_is_planned_anew(world: World) -> None:
    held = world.cluster.lease.held

    def meanwhile(command: str) -> Any:
        world.helm.keep(BASE, {})
        return held(command)

    world.cluster.lease.held = meanwhile  # type: ignore[method-assign]
    result = await world.install()
    assert len(world.charts.calls) == 2
    assert result.plan.releases[BASE.name].installed is not None
    assert "install istio-base" not in world.wrote()


async def test_a_held_mesh_is_not_written_to(world: World) -> None:
    world.cluster.lease.fails["held"] = HeldError("another run", hint="wait")
    with pytest.raises(HeldError):
        await world.install()
    assert world.wrote() == []


async def test_a_dead_runs_helm_is_waited_for_and_the_plan_made_anew(world: World) -> None:
    world.cluster.lease.dead = Holder(host="desk", process=1, started=1, user="kim", command="install", helm=(77,))
    world.processes.helms = (77,)
    await world.install()
    assert world.processes.asked("wait_for_helm") == ["(77,)"]
    assert any("left running to end" in one for one in world.heard.said(EventKind.WAITING))
    assert len(world.charts.calls) == 2


async def test_a_record_whose_releases_are_gone_with_their_objects_counts_for_nothing(world: World) -> None:
    await world.install()
    world.cluster.storage.kept.clear()
    world.cluster.objects.stored.clear()
    with pytest.raises(ConfigError):
        await world.install(AGAIN)  # the region was known from the record alone


BOTH = (GatewaySpec(name=INGRESS.name), GatewaySpec(name="edge", namespace="edge"))


async def test_a_gateway_no_longer_wanted_is_shown_and_goes_with_prune_alone(world: World) -> None:
    prod = Environment(name="prod", path="values/environments/prod/mesh.yaml", gateways=BOTH)
    await world.install(replace(REQUEST, environment=prod))
    assert "install edge" in world.wrote()
    fewer = replace(REQUEST, environment=replace(prod, gateways=BOTH[:1]))
    assert data_of((await world.install(fewer)).plan)["unwanted"] == ["edge"]
    assert "uninstall edge" not in world.wrote()
    assert EDGE in [recorded.release for recorded in world.cluster.records.kept[NAMESPACE].releases]
    pruned = await world.install(replace(fewer, prune=True))
    assert world.wrote()[-1] == "uninstall edge"
    assert pruned.progress.outcomes[-1].message == "removed"
    assert EDGE not in [recorded.release for recorded in world.cluster.records.kept[NAMESPACE].releases]


async def test_a_gateway_that_runs_another_proxy_is_restarted(world: World) -> None:
    await world.install()
    world.cluster.live.show(pod(INGRESS.name, image="old:1"))
    plan = (await world.preview()).plan
    (restart,) = [step for step in plan.steps if step.action is Action.RESTART]
    assert restart.reasons == (f"pod {INGRESS.name}-1-x runs old:1",)
    world.cluster.live.show(*(pod(INGRESS.name, name=name, image="old:1") for name in ("b", "c", "d")))
    (restart,) = [step for step in (await world.preview()).plan.steps if step.action is Action.RESTART]
    assert restart.reasons == (f"4 pods run old:1: {INGRESS.name}-1-x, b, c and 1 more",)


async def test_a_gateway_whose_pods_come_anew_is_not_restarted_as_well(world: World) -> None:
    await world.install()
    world.cluster.live.show(pod(INGRESS.name, image="old:1"))
    changed = deployment(INGRESS.name, image="auto")
    changed["spec"]["template"]["metadata"] = {"labels": {"new": "yes"}}
    world.helm.renders[INGRESS.name] = [changed, service(INGRESS.name, kind="ClusterIP")]
    plan = (await world.preview(replace(AGAIN, options=Request(sets=(parse_set("gateway:labels.new=yes"),))))).plan
    actions = {step.name: step.action for step in plan.steps}
    assert actions[INGRESS.name] is Action.UPGRADE
    assert Action.RESTART not in actions.values()


async def test_a_gateway_that_is_written_without_new_pods_is_restarted(world: World) -> None:
    await world.install()
    world.cluster.live.show(pod(INGRESS.name, image="old:1"))
    plan = (await world.preview(replace(AGAIN, options=Request(sets=(parse_set("gateway:labels.new=yes"),))))).plan
    actions = {step.name: step.action for step in plan.steps}
    assert actions[INGRESS.name] is Action.UPGRADE
    assert actions[f"restart {INGRESS.name}"] is Action.RESTART


async def test_a_diff_names_namespaces_crds_and_what_prune_removes(world: World) -> None:
    prod = Environment(name="prod", path="values/environments/prod/mesh.yaml", gateways=BOTH)
    await world.install(replace(REQUEST, environment=prod))
    world.charts.there["base"] = chart("base", crds=[crd("gateways.istio.io"), crd("sidecars.istio.io")], digest="new")
    world.cluster.objects.put(crd("gateways.istio.io"))
    world.cluster.objects.fails["ask"] = RefusedError(
        "conflict", hint="", status=409, reason="Conflict", detail='conflict with "helm"'
    )
    third = GatewaySpec(name="third", namespace="third")
    asked = replace(REQUEST, environment=replace(prod, gateways=(BOTH[0], third)), prune=True)
    diff = data_of(await world.preview(asked, diff=True))["diff"]
    changes = {one["object"]: one["change"] for one in diff}
    assert changes["Namespace third"] == "added"
    assert changes["CustomResourceDefinition gateways.istio.io"] == "changed"
    assert changes["CustomResourceDefinition sidecars.istio.io"] == "added"
    assert changes["Deployment edge/edge"] == "removed"
    kept = data_of(await world.preview(replace(asked, prune=False), diff=True))["diff"]
    assert "Deployment edge/edge" not in {one["object"] for one in kept}


async def test_a_plan_repeats_no_password_of_the_charts(world: World) -> None:
    source = "https://bob:hunter2@charts.example.com/istio?token=tok123"
    result = await world.install(replace(REQUEST, options=replace(REQUEST.options, charts=source)))
    record = world.cluster.records.kept[NAMESPACE]
    said = json.dumps([data_of(result), record.to_data()]) + repr(result) + repr(record)
    assert "hunter2" not in said
    assert "tok123" not in said
    assert data_of(result)["chart_source"] == record.settings.charts == "https://charts.example.com/istio"


async def test_a_template_is_scanned_and_its_unknown_keys_told(world: World) -> None:
    world.charts.there["istiod"] = chart("istiod", defaults={"global": {"tag": "1.20.0"}})
    request = replace(REQUEST.options, sets=(parse_set("istiod:hubb=x"), parse_set("istiod:global.tag=1.20.1")))
    result = await template(replace(REQUEST, options=request), world.helm, world.charts, listener=world.heard)
    unknown, *_, moved = result.warnings
    assert unknown.startswith("--set istiod:hubb: no template of chart istiod 1.20.0 reads hubb")
    assert "global.tag is 1.20.1" in moved
    assert [finding["level"] for finding in data_of(result)["findings"]] == ["warning"]
    world.helm.renders[ISTIOD.name] = [deployment("istiod", image="docker.io/istio/pilot:1.20.0"), INJECTOR]
    with pytest.raises(ChartError, match="not in the hub"):
        await template(REQUEST, world.helm, world.charts, listener=world.heard)


async def test_somebody_elses_object_stops_the_plan(world: World) -> None:
    world.cluster.objects.put(deployment("istiod"))
    with pytest.raises(ClusterError, match="belongs to another owner"):
        await world.install()
    assert world.wrote() == []


async def test_a_cluster_that_is_too_old_is_refused_before_anything_is_fetched(world: World) -> None:
    world.cluster.kubernetes = "v1.20.0"
    with pytest.raises(CheckError):
        await world.install()
    assert world.charts.calls == []
    await world.install(replace(REQUEST, force_version=True))
    again = await world.install()
    assert "an earlier run was given --force-version for it" in str(data_of(again)["findings"])
    world.cluster.kubernetes = "v1.19.0"
    with pytest.raises(CheckError, match=r"1\.19"):
        await world.install()


async def test_a_template_needs_no_cluster_and_is_in_install_order(world: World) -> None:
    world.charts.there["base"] = chart("base", crds=[crd("gateways.istio.io")])
    result = await template(REQUEST, world.helm, world.charts, listener=world.heard)
    kinds = [line for line in result.manifests.splitlines() if "kind" in line.lower()]
    assert "Namespace" in kinds[0]
    assert "CustomResourceDefinition" in kinds[1]
    assert world.helm.asked("render") == [
        "istio-base v1.29.0 install",
        "istiod v1.29.0 install",
        f"{INGRESS.name} v1.29.0 install",
    ]
    assert data_of(result)["hub"] == HUB


@pytest.mark.parametrize(("seconds_ago", "waited"), [(5, 15), (60, 0), (None, 20), (-3600, 20)])
async def test_what_a_lost_run_elsewhere_left_pending_is_let_settle_before_it_is_put_right(
    world: World, seconds_ago: float | None, waited: float
) -> None:
    updated = None if seconds_ago is None else datetime.now(UTC) - timedelta(seconds=seconds_ago)
    world.cluster.lease.dead = Holder(host="elsewhere", process=1, started=1, user="kim", command="install")
    world.cluster.storage.put(installed(ISTIOD, status="pending-install", updated=updated))
    await world.install()
    events = zip(world.heard.events, world.heard.times, strict=True)
    began = next(at for event, at in events if event.kind is EventKind.STARTED and event.step == "istiod")
    assert began == pytest.approx(waited, abs=1)
    assert world.cluster.storage.asked("forget") == ["istiod 1"]
    assert world.processes.calls == []
