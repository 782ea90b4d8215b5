"""Drift and repair over fakes: what is looked at, what is refused, what is written down."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.drift.apply import Wanted
from nksmesh.commands.drift.drift import DriftResult, Found, drift
from nksmesh.commands.repair.repair import RepairPlan, RepairResult, plan_repair, repair
from nksmesh.commands.repair.steps import follow_proofs, repair_steps, stale_gateways
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, ConfigError, RefusedError, ReleaseError
from nksmesh.domain.drift.drift import Change, ObjectDrift
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.plan.history import Outcome
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import HUB, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import NAMESPACE, PROXY, daemon_set, on_node, rolled_out
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.world import World

CONFIG = ObjectRef("v1", "ConfigMap", "istio-sidecar-injector", NAMESPACE)
DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "istiod", NAMESPACE)
FORBIDDEN = RefusedError(
    "refused", hint="Ask.", status=403, reason="Forbidden", detail='User "kim" cannot patch resource "configmaps"'
)
INVALID = RefusedError("refused", hint="Look.", status=422, reason="Invalid", detail="spec.selector: immutable")


@pytest.fixture
async def world(cluster: FakeCluster, heard: Heard) -> World:
    """A mesh that is as its releases say."""
    world = World(cluster, heard)
    await world.install()
    cluster.objects.calls.clear()
    return world


async def looked(world: World, *, exit_code: bool = False) -> DriftResult:
    return await drift(world.runtime, "", lock=Lock(), diff=True, exit_code=exit_code)


async def planned(world: World, *objects: str) -> RepairPlan:
    return await plan_repair(world.runtime, "", lock=Lock(), objects=objects)


async def repaired(world: World, plan: RepairPlan, *objects: str) -> RepairResult:
    return await repair(
        plan,
        runtime_of(
            world.cluster, helm=world.helm, charts=world.charts, waits=WaitOptions(component=5), listener=world.heard
        ),
        lock=Lock(),
        objects=objects,
    )


def found(result: DriftResult) -> dict[ObjectRef, Change]:
    return {one.drift.ref: one.drift.change for one in result.survey.found}


def change(world: World, ref: ObjectRef, **fields: Any) -> None:
    world.cluster.objects.stored[ref] |= fields


class Refusing:
    """Refuses the dry runs about one object."""

    def __init__(self, world: World, ref: ObjectRef, error: RefusedError) -> None:
        objects = world.cluster.objects
        self.apply, self.merge, self.ref, self.error = objects.apply, objects.merge, ref, error
        objects.apply = self.applied  # type: ignore[method-assign]
        objects.merge = self.merged  # type: ignore[method-assign]

    async def applied(self, manifest: Manifest, ref: ObjectRef, **options: Any) -> dict[str, Any]:
        if ref == self.ref:
            raise self.error
        return await self.apply(manifest, ref, **options)

    async def merged(self, patch: Manifest, ref: ObjectRef, **options: Any) -> dict[str, Any]:
        if ref == self.ref:
            raise self.error
        return await self.merge(patch, ref, **options)


async def test_nothing_is_written_to_look(world: World) -> None:
    result = await looked(world, exit_code=True)
    assert (found(result), result.exit_code, result.errors) == ({}, 0, ())
    assert result.survey.looked == len(world.cluster.objects.asked("ask")) == 4
    assert not [name for name, _ in world.cluster.objects.calls if name not in {"get", "list", "ask"}]
    asked = world.cluster.objects.asked("ask")
    assert f"{DEPLOYMENT} as helm" in asked


async def test_what_differs_is_shown_and_asks_for_the_exit_code_of_changes(world: World) -> None:
    change(world, CONFIG, data={"values": "other"})
    del world.cluster.objects.stored[DEPLOYMENT]
    result = await looked(world, exit_code=True)
    assert found(result) == {CONFIG: Change.DIFFERS, DEPLOYMENT: Change.MISSING}
    assert result.exit_code == 10
    assert (await looked(world)).exit_code == 0


async def test_a_release_that_is_gone_is_drift(world: World) -> None:
    del world.cluster.storage.kept[ISTIOD.namespace, ISTIOD.name]
    result = await looked(world, exit_code=True)
    assert (found(result), result.installation.gone, result.exit_code) == ({}, (ISTIOD,), 10)
    assert data_of(result)["gone"][0]["name"] == ISTIOD.name
    world.cluster.storage.kept.clear()
    assert (await looked(world, exit_code=True)).exit_code == 10, "a mesh that is gone, too"
    assert (await looked(world)).exit_code == 0


async def test_what_may_not_be_asked_is_named_and_the_rest_is_looked_at(world: World) -> None:
    Refusing(world, CONFIG, FORBIDDEN)
    del world.cluster.objects.stored[DEPLOYMENT]
    result = await looked(world)
    assert found(result) == {DEPLOYMENT: Change.MISSING}
    (error,) = result.errors
    assert error.message.startswith("1 object was not checked")
    assert f"{CONFIG}: {FORBIDDEN.detail}" in error.detail


async def test_what_the_api_server_does_not_take_differs_and_is_not_put_back(world: World) -> None:
    Refusing(world, CONFIG, INVALID)
    change(world, CONFIG, data={"values": "other"})
    (one,) = (await looked(world)).survey.found
    assert one.drift.refusal == "spec.selector: immutable"
    with pytest.raises(ClusterError, match="cannot be restored in place") as failure:
        await planned(world)
    assert "ConfigMap/istio-system/istio-sidecar-injector" in failure.value.hint
    assert failure.value.detail == f"{CONFIG}: spec.selector: immutable"


async def test_a_repair_writes_as_helm_what_was_shown_proves_it_and_is_kept(world: World) -> None:
    change(world, CONFIG, data={"values": "other"})
    del world.cluster.objects.stored[DEPLOYMENT]
    world.cluster.live.show(*rolled_out("istiod"))
    plan = await planned(world, f"ConfigMap/{CONFIG.name}")
    assert ([one.drift.ref for one in plan.found], plan.others) == ([CONFIG], 1)
    world.cluster.objects.calls.clear()
    result = await repaired(world, plan, f"ConfigMap/{CONFIG.name}")
    assert result.repaired == (CONFIG,)
    assert world.cluster.objects.asked("apply") == [f"{CONFIG} as helm"]
    stored = world.cluster.objects.stored[CONFIG]
    assert stored["metadata"]["annotations"]["meta.helm.sh/release-name"] == ISTIOD.name
    assert any("a dry-run pod" in words for words in result.proved), "the injector was proved"
    (*_, run) = world.cluster.histories.kept[NAMESPACE].runs
    assert (run.command, run.outcome, run.from_versions) == ("repair", Outcome.DONE, ("1.20.0",))
    assert not any(move.moved for move in run.releases)
    assert found(await looked(world)) == {DEPLOYMENT: Change.MISSING}


async def test_gateways_on_nodes_are_followed_so_that_their_old_pods_are_named(cluster: FakeCluster) -> None:
    values = {"global": {"hub": HUB, "tag": "1.20.0"}}
    injector = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG.name},
        "data": {"values": json.dumps(values)},
    }
    renders = {ISTIOD: [injector], INGRESS: [daemon_set(INGRESS.name)]}
    stored = {render: installed(render, manifest=FakeHelm.text(some)) for render, some in renders.items()}
    cluster.live.show(daemon_set(INGRESS.name), on_node(INGRESS.name, image="old:1"))
    releases = {release: FakeHelm().parse(one.manifest) for release, one in stored.items()}
    await follow_proofs((), releases, NAMESPACE, cluster)
    (followed,) = cluster.live.asked("follow")
    assert f"DaemonSet {NAMESPACE}" in followed
    (stale,) = stale_gateways(releases, cluster.live)
    assert stale.startswith(f"{INGRESS.name}: {INGRESS.name}-1 runs another proxy than {PROXY}")


async def test_a_repair_stops_where_the_mesh_is_not_what_was_shown(world: World) -> None:
    change(world, CONFIG, data={"values": "other"})
    plan = await planned(world)
    del world.cluster.objects.stored[DEPLOYMENT]
    with pytest.raises(ClusterError, match=r"repair would now restore more than was shown: .*; nothing was restored"):
        await repaired(world, plan)
    assert not world.cluster.objects.asked("apply")


async def test_what_somebody_else_writes_again_fails_the_repair(world: World) -> None:
    change(world, CONFIG, data={"values": "other"})
    plan = await planned(world)
    before = world.cluster.objects.apply

    async def undone(manifest: Manifest, ref: ObjectRef, **options: Any) -> dict[str, Any]:
        after = await before(manifest, ref, **options)
        if ref == CONFIG and not options.get("dry_run"):
            change(world, CONFIG, data={"values": "other"})
        return after

    world.cluster.objects.apply = undone  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match="differs again") as failure:
        await repaired(world, plan)
    assert f"kubectl get configmap {CONFIG.name} -n {NAMESPACE} -o yaml" in failure.value.hint
    (*_, run) = world.cluster.histories.kept[NAMESPACE].runs
    assert run.outcome is Outcome.FAILED


async def test_an_object_that_does_not_differ_is_refused_by_name(world: World) -> None:
    change(world, CONFIG, data={"values": "other"})
    with pytest.raises(ConfigError, match="Deployment/istiod") as failure:
        await planned(world, "Deployment/istiod")
    assert f"ConfigMap/{NAMESPACE}/{CONFIG.name}" in failure.value.hint


async def test_a_release_that_is_half_way_is_looked_at_with_a_note_and_not_repaired(world: World) -> None:
    storage = world.cluster.storage
    storage.put(replace(storage.kept[ISTIOD.namespace, ISTIOD.name], status="pending-upgrade"))
    assert "istiod is pending-upgrade" in " ".join((await looked(world)).survey.notes)
    with pytest.raises(ReleaseError, match="pending-upgrade"):
        await planned(world)


async def test_a_cluster_without_a_mesh_has_no_drift_and_is_no_mesh_as_it_should_be(
    cluster: FakeCluster, heard: Heard
) -> None:
    result = await looked(World(cluster, heard), exit_code=True)
    assert (data_of(result)["installed"], data_of(result)["drift"], result.exit_code) == (False, [], 10)


def test_gateways_of_the_same_name_in_two_namespaces_are_proved_each_for_itself() -> None:
    gateways = [replace(INGRESS, name="edge", namespace=namespace) for namespace in ("inner", "outer")]
    gateways.append(replace(INGRESS, name="repair", namespace="inner"))  # as the repair's own step
    found = []
    for gateway in gateways:
        ref = ObjectRef("apps/v1", "Deployment", gateway.name, gateway.namespace)
        wanted = Wanted(ref=ref, manifest={}, owner=gateway, chart_version="1.20.0")
        found.append(Found(wanted=wanted, drift=ObjectDrift(ref=ref, release=gateway.name, change=Change.MISSING)))
    steps = repair_steps(found, dict.fromkeys(gateways, ()))
    assert [step.name for step in steps] == [
        "Deployment inner/edge",
        "Deployment outer/edge",
        "Deployment inner/repair",
        "inner/edge",
        "outer/edge",
        "inner/repair",
    ]
