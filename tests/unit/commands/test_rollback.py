"""Rollbacks over fakes: what is planned, what is refused, what is written down."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nksmesh.commands.install import InstallResult, install
from nksmesh.commands.rollback.plan import RollbackPlan, plan_rollback, plan_way_back
from nksmesh.commands.rollback.rollback import RollbackResult, rollback
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import (
    ClusterError,
    ConfigError,
    HeldError,
    MeshError,
    NotReadyError,
    RefusedError,
    ReleaseError,
    RollbackError,
    RolledBackError,
    UnreachableError,
)
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.record import Canary, Record
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.plan.history import History, Outcome, Run
from nksmesh.domain.plan.rollback_target import RollbackTarget
from nksmesh.domain.values.set_values import parse_set
from nksmesh.engine.request import MeshRequest
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import NAMESPACE, PROXY, crd, pod, rolled_out, versioned
from tests.unit.fakes.world import AGAIN, REQUEST, KeepingHelm, World

WHY = ReleaseError("helm upgrade istiod failed", hint="Look.", detail="Helm's words")
OTHER = replace(AGAIN, options=Request(sets=(parse_set("istiod:pilot.cpu=1"), parse_set("gateway:a=1"))))


class GoingBack(KeepingHelm):
    """A Helm that keeps every Helm revision, and brings one back."""

    async def upgrade(self, release: Release, chart: Any, values: Any, *, timeout: float) -> None:
        self._remember(release)
        await super().upgrade(release, chart, values, timeout=timeout)

    async def rollback(self, release: Release, helm_revision: int, *, timeout: float) -> None:
        await super().rollback(release, helm_revision, timeout=timeout)
        self._remember(release)
        storage = self.cluster.storage
        target = (await storage.at({release: helm_revision}))[release]
        now = storage.kept[release.namespace, release.name]
        storage.put(replace(target, helm_revision=now.helm_revision + 1, status="deployed"))
        self.cluster.live.show(*rolled_out(release.name, namespace=release.namespace))

    def _remember(self, release: Release) -> None:
        storage = self.cluster.storage
        storage.older.append(storage.kept[release.namespace, release.name])


class Here(World):
    """A mesh that was installed, and changed once."""

    def __init__(self, cluster: FakeCluster, heard: Heard) -> None:
        super().__init__(cluster, heard)
        self.helm = GoingBack(cluster)

    async def set(self, asked: MeshRequest = OTHER, **options: Any) -> InstallResult:
        return await install(
            asked,
            self.runtime,
            dry_run=False,
            **options,
        )

    async def plan(self, to_run: int | None = None) -> RollbackPlan:
        return await plan_rollback(self.runtime, "", to_run=to_run)

    async def back(self, shown: RollbackPlan | None = None) -> RollbackResult:
        return await rollback(
            shown or await self.plan(),
            self.runtime,
            to_run=None,
        )

    @property
    def runs(self) -> list[Run]:
        return list(self.cluster.histories.kept[NAMESPACE].runs)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(run.command, run.outcome.value) for run in self.runs]

    @property
    def record(self) -> Record:
        return self.cluster.records.kept[NAMESPACE]

    def stored(self, release: Release) -> Any:
        return self.cluster.storage.kept[release.namespace, release.name]


@pytest.fixture
def here(cluster: FakeCluster, heard: Heard) -> Here:
    return Here(cluster, heard)


async def test_runs_are_kept_with_what_they_did_and_a_run_that_changes_nothing_is_not(here: Here) -> None:
    await here.install()
    await here.set(command="upgrade")
    await here.set()
    first, second = here.runs
    assert (first.command, first.from_versions, first.to_version, first.before) == ("install", (), "1.20.0", None)
    assert [(move.before, move.after) for move in first.releases] == [(0, 1)] * 3
    assert (second.command, second.from_versions, second.outcome) == ("upgrade", ("1.20.0",), Outcome.DONE)
    assert second.before is not None
    assert {move.release.name: (move.before, move.after) for move in second.releases}["istiod"] == (1, 2)
    assert first.values_hash != second.values_hash
    assert here.cluster.lease.asked("held") == ["install", "upgrade"]


async def test_the_mesh_goes_back_and_its_record_with_it(here: Here) -> None:
    await here.install()
    before, values = here.record, dict(here.stored(ISTIOD).values)
    await here.set()
    assert here.stored(ISTIOD).values != values
    done = await here.back()
    assert here.helm.asked("rollback") == ["istiod", INGRESS.name]
    assert here.stored(ISTIOD).values == values
    assert here.record.settings == before.settings
    assert {recorded.release.name: recorded.helm_revision for recorded in here.record.releases} == {
        "istio-base": 1,
        "istiod": 3,
        INGRESS.name: 3,
    }
    assert here.outcomes == [("install", "done"), ("install", "rolled back"), ("rollback", "done")]
    assert data_of(done)["done"][-1]["name"] == INGRESS.name
    # what it is about to write is noted before: a Helm that it leaves is then known for ours
    marked, restored = here.cluster.records.asked("write")[-2:]
    assert marked == f"istio-base@1, istiod@0, {INGRESS.name}@0"
    assert restored == f"istio-base@1, istiod@3, {INGRESS.name}@3"
    again = await here.install(AGAIN)
    assert not again.plan.changes


async def test_a_step_that_fails_says_both_ways_on(here: Here) -> None:
    await here.install()
    here.helm.fails_on["istiod"] = WHY
    with pytest.raises(ReleaseError) as caught:
        await here.set()
    told = "\n".join(caught.value.__notes__)
    assert "done: namespace" in told
    assert "begun: istiod" in told
    assert "Fix the cause first. Then run nksmesh install to resume. Or run nksmesh rollback to undo." in told
    assert "same command again" not in told
    assert here.runs[-1].outcome is Outcome.FAILED
    assert "Helm's words" in here.runs[-1].evidence


REPEATED = {
    "nothing answers": (UnreachableError("cannot reach the API server", hint=""), True),
    "too much to do": (RefusedError("refused", hint="", status=429, reason="TooManyRequests"), True),
    "somebody else wrote": (RefusedError("refused", hint="", status=409, reason="Conflict"), True),
    "time was short": (NotReadyError("not ready after 5m", hint="", passing=True), True),
    "not allowed": (RefusedError("refused", hint="", status=403, reason="Forbidden"), False),
    "it is there": (RefusedError("refused", hint="", status=409, reason="AlreadyExists"), False),
    "a webhook denied it": (RefusedError("refused", hint="", status=500, reason="InternalError"), False),
    "never ready": (NotReadyError("istiod cannot become ready", hint=""), False),
    "Helm refused": (WHY, False),
}


@pytest.mark.parametrize(("failure", "helps"), REPEATED.values(), ids=REPEATED)
async def test_the_same_command_is_advised_only_where_repetition_may_help(
    here: Here, failure: MeshError, *, helps: bool
) -> None:
    here.helm.fails_on["istiod"] = failure
    with pytest.raises(type(failure)) as caught:
        await here.install()
    told = "\n".join(caught.value.__notes__)
    assert ("Run the same command again to resume." in told) is helps
    assert ("Fix the cause first. Then run nksmesh install" in told) is not helps
    assert "Or run nksmesh rollback to undo." in told


async def test_with_rollback_on_failure_a_failed_run_is_taken_back_at_once(here: Here) -> None:
    await here.install()
    before = here.record
    here.helm.fails_on[INGRESS.name] = WHY
    with pytest.raises(RolledBackError, match="the mesh was rolled back to its state before this run") as caught:
        await here.set(rollback_on_failure=True)
    assert caught.value.detail == "Helm's words"
    assert "done: " in str(caught.value.__notes__)
    assert here.helm.asked("rollback") == ["istiod"]
    assert here.outcomes[1:] == [("install", "rolled back"), ("rollback", "done")]
    assert here.runs[1].reason == WHY.message
    assert here.record.settings == before.settings
    assert here.cluster.lease.asked("held") == ["install", "install"], "the mesh was let go in between"


async def test_a_rollback_that_fails_says_both(here: Here) -> None:
    await here.install()
    here.helm.fails_on[INGRESS.name] = WHY
    broken = ReleaseError("helm rollback istiod failed", hint="Look there.", detail="other words")
    here.helm.fails["rollback"] = broken
    with pytest.raises(RollbackError) as caught:
        await here.set(rollback_on_failure=True)
    assert caught.value.message == f"{WHY.message}; and the rollback failed, too: helm rollback istiod failed"
    assert caught.value.detail == "Helm's words\nother words"
    assert here.outcomes[1:] == [("install", "failed"), ("rollback", "failed")]
    assert {recorded.release.name: recorded.helm_revision for recorded in here.record.releases}["istiod"] == 0, (
        "it was under way"
    )
    with pytest.raises(RollbackError, match="the rollback failed: helm rollback istiod failed"):
        await here.back()
    here.helm.fails.clear()
    await here.back()
    assert here.outcomes[1] == ("install", "rolled back")


async def test_a_first_install_that_fails_is_removed_with_its_record(here: Here) -> None:
    here.helm.fails_on[INGRESS.name] = WHY
    with pytest.raises(RolledBackError):
        await here.set(REQUEST, rollback_on_failure=True)
    assert here.helm.asked("uninstall") == ["istiod", "istio-base"]
    assert here.cluster.records.kept == {}
    assert here.outcomes == [("install", "rolled back"), ("rollback", "done")]


async def test_who_stops_a_run_has_it_left_as_it_is(here: Here) -> None:
    await here.install()
    here.helm.fails_on["istiod"] = HeldError("this run lost its lease of the mesh", hint="Wait.")
    with pytest.raises(HeldError) as caught:
        await here.set(rollback_on_failure=True)
    assert not here.helm.asked("rollback")
    assert "nksmesh rollback" not in str(caught.value.__notes__)


async def test_a_gateway_that_was_removed_is_named_as_not_coming_back(here: Here) -> None:
    await here.install()
    await here.set()
    here.cluster.storage.kept.pop((INGRESS.namespace, INGRESS.name))
    done = await here.back()
    (lost,) = done.plan.lost
    assert lost.startswith(f"{INGRESS.name} cannot be restored")
    assert lost in done.warnings
    assert INGRESS not in {recorded.release for recorded in here.record.releases}
    assert here.record.settings.gateways, "the next install brings it"


async def test_what_another_helm_wrote_since_is_named_before_it_goes(here: Here) -> None:
    await here.install()
    await here.set()
    assert (await here.plan()).overwritten == ()
    here.cluster.storage.put(replace(here.stored(ISTIOD), helm_revision=7, values={"by": "hand"}))
    shown = await here.plan()
    changed = "istiod was changed by another Helm process since run 2 (Helm revision 2 -> 7)"
    assert shown.overwritten == (f"{changed}: that change is rolled back, too",)
    assert shown.overwritten[0] in shown.warnings
    await here.back()
    assert (await here.install(AGAIN)).plan.changes is False


async def test_workloads_that_a_rollback_leaves_on_another_proxy_are_named(here: Here) -> None:
    """The control plane goes back; a workload that was restarted meanwhile keeps the newer proxy."""
    await here.install()
    await here.set()
    newer = PROXY.replace("1.20.0", "1.21.6")
    for name, proxy in (("cart", newer), ("pay", PROXY)):
        one = pod(name, name=name, image=proxy, namespace="shop")
        one["metadata"]["ownerReferences"] = [{"controller": True, "kind": "StatefulSet", "name": name}]
        here.cluster.objects.put(one)
    shown = await here.plan()
    assert [(workload.name, workload.proxies) for workload in shown.workloads] == [("cart", (newer,))]
    done = await here.back(shown)
    (words,) = done.warnings
    assert words.startswith("1 workload keeps another proxy than proxyv2:1.20.0 until it is restarted")
    assert words.endswith("--restart-workloads): StatefulSet shop/cart")


async def test_a_run_that_proves_what_a_dead_one_left_is_kept_so_that_a_rollback_stops_there(here: Here) -> None:
    await here.install()
    await here.set()
    dead = replace(here.runs[-1], outcome=Outcome.RUNNING, ended=None)
    here.cluster.histories.kept[NAMESPACE] = History(namespace=NAMESPACE, runs=(here.runs[0], dead))
    await here.set()  # nothing is left to do
    assert here.outcomes[1:] == [("install", "interrupted"), ("install", "done")]
    await here.set()
    assert len(here.runs) == 3, "and is proved once"
    await here.set(replace(AGAIN, options=Request(sets=(parse_set("istiod:pilot.cpu=2"),))))
    assert (await here.plan()).way.numbers == (4,)


async def test_a_helm_revision_that_helm_dropped_is_refused(here: Here) -> None:
    await here.install()
    await here.set()
    here.cluster.storage.older.clear()
    with pytest.raises(ReleaseError, match="Helm no longer has Helm revision 1 of istiod") as caught:
        await here.plan()
    assert caught.value.exit_code == 5
    assert "nksmesh install with the earlier values" in caught.value.hint
    here.cluster.storage.put(replace(here.stored(ISTIOD), chart_version="1.20.1"))
    with pytest.raises(ReleaseError) as caught:
        await here.plan()
    assert "nksmesh upgrade --to 1.20.0" in caught.value.hint
    here.cluster.storage.kept.pop((ISTIOD.namespace, ISTIOD.name))
    with pytest.raises(ReleaseError, match="istiod cannot be restored: it was removed") as caught:
        await here.plan()
    assert "nksmesh install --version 1.20.0" in caught.value.hint


async def test_every_helm_revision_that_helm_dropped_is_named(here: Here) -> None:
    await here.install()
    await here.set()
    for release in here.cluster.storage.kept.values():
        here.cluster.storage.put(replace(release, helm_revision=release.helm_revision + 1))
    here.cluster.storage.older.clear()
    with pytest.raises(ReleaseError, match=r"of (istiod|istio-base|istio-ingressgateway) .*; Helm no longer has"):
        await here.plan()


async def test_gateways_of_the_same_name_in_two_namespaces_go_back_both(here: Here) -> None:
    inner, outer = (replace(INGRESS, name="edge", namespace=namespace) for namespace in ("inner", "outer"))
    for gateway in (inner, outer):
        here.cluster.storage.older.append(installed(gateway, values={"a": 1}))
        here.cluster.storage.put(installed(gateway, helm_revision=2, values={"a": 2}))
    way = RollbackTarget(runs=(), targets={inner: 1, outer: 1})
    plan = (await plan_way_back(way, NAMESPACE, here.cluster, here.helm)).plan
    assert [change.release for change in plan.releases.values()] == [inner, outer]
    assert [(step.name, step.action.value) for step in plan.steps] == [
        ("inner/edge", "roll back"),
        ("outer/edge", "roll back"),
    ]


async def test_without_a_run_there_is_no_way_back(here: Here) -> None:
    with pytest.raises(ConfigError, match="no stored run in istio-system can be rolled back"):
        await here.plan()


async def test_during_a_canary_nothing_goes_back(here: Here) -> None:
    await here.install()
    await here.set()
    on = Canary(settings=here.record.settings, release=replace(ISTIOD, name="istiod-1-21-0", istio_revision="1-21-0"))
    here.cluster.records.kept[NAMESPACE] = replace(here.record, canary=on)
    with pytest.raises(ConfigError, match="a canary is installed"):
        await here.plan()


async def test_what_changed_since_it_was_shown_stops_it(here: Here) -> None:
    await here.install()
    await here.set()
    shown = await here.plan()
    await here.set(replace(AGAIN, options=Request(sets=(parse_set("istiod:pilot.cpu=2"),))))
    with pytest.raises(ClusterError, match="nothing was rolled back"):
        await here.back(shown)
    assert not here.helm.asked("rollback")


async def test_what_a_helm_left_pending_is_rolled_back_and_forgotten_after_it_had_time_to_end(here: Here) -> None:
    await here.install()
    here.helm.fails_on["istiod"] = WHY
    with pytest.raises(ReleaseError):
        await here.set()
    here.helm.fails_on.clear()
    deployed = here.stored(ISTIOD)
    here.cluster.storage.older.append(deployed)
    updated = datetime.now(UTC) - timedelta(seconds=5)
    here.cluster.storage.put(replace(deployed, helm_revision=2, status="pending-upgrade", updated=updated))
    here.cluster.lease.dead = Holder(host="elsewhere", process=1, started=1, user="kim", command="install")
    done = await here.back()
    assert here.heard.said(EventKind.WAITING, "rollback") == ["istiod to settle: Helm may still be changing it"]
    assert "Helm left it pending-upgrade (Helm revision 2)" in str(data_of(done)["steps"])
    assert here.cluster.storage.asked("forget") == ["istiod 2"]
    assert here.stored(ISTIOD).status == "deployed"


async def test_a_helm_that_ends_after_the_plan_was_shown_is_no_hindrance(here: Here) -> None:
    await here.install()
    first = here.stored(ISTIOD)
    here.helm.fails_on["istiod"] = WHY
    with pytest.raises(ReleaseError):
        await here.set()
    here.helm.fails_on.clear()
    here.cluster.storage.older.append(first)
    left = replace(first, helm_revision=2, status="pending-upgrade", values={"a": 1}, updated=datetime.now(UTC))
    here.cluster.storage.put(left)
    shown = await here.plan()
    asyncio.get_running_loop().call_later(1, here.cluster.storage.put, replace(left, status="deployed"))
    done = await here.back(shown)
    assert "returns to Helm revision 1" in str(data_of(done)["steps"])
    assert here.stored(ISTIOD).values == first.values
    assert here.cluster.storage.asked("forget") == []


async def test_the_crds_of_base_are_those_of_now(here: Here) -> None:
    """From chart 1.24 on base has them: an older one never goes over a newer one, and none is removed."""
    old, new, more = crd("gateways.istio.io"), crd("gateways.istio.io"), crd("waypoints.istio.io")
    new["spec"]["versions"].append({"name": "v2", "served": True})
    here.helm.renders[BASE.name] = [old]
    here.cluster.live.show(new, more)
    await here.install()
    here.helm.renders[BASE.name] = [new, more]
    await here.set(replace(AGAIN, options=Request(sets=(parse_set("base:a=1"),))))
    for one in (new, more):
        here.cluster.objects.put(one)
    await here.back()
    assert '"v2"' in here.stored(BASE).manifest
    assert "waypoints" not in here.stored(BASE).manifest
    assert "CustomResourceDefinition waypoints.istio.io" in here.cluster.objects.asked("merge")


async def test_a_crd_that_base_left_out_for_the_cluster_has_it_newer_stays_so(here: Here) -> None:
    """From chart 1.28 down to 1.27, which left the CRD out, and back to before: Helm's record has it of 1.24."""
    old, new = versioned("gateways.istio.io", "1.24.6"), versioned("gateways.istio.io", "1.28.10")
    gone = versioned("waypoints.istio.io", "1.24.6")
    here.helm.renders[BASE.name] = [old, gone]
    here.cluster.live.show(new, gone)
    await here.install()
    here.helm.renders[BASE.name] = []
    await here.set(replace(AGAIN, options=Request(sets=(parse_set("base:a=1"),))))
    here.cluster.objects.put(new)
    await here.back()
    assert "gateways.istio.io" not in here.stored(BASE).manifest
    assert "waypoints.istio.io" in here.stored(BASE).manifest


@pytest.mark.parametrize("word", [False, True])
async def test_what_somebody_elses_helm_begins_while_a_run_waits_is_left_alone(here: Here, word: bool) -> None:
    """A run of ours left the gateway pending; while that settles, another Helm begins on istiod."""
    await here.install()
    here.cluster.lease.dead = Holder(host="elsewhere", process=1, started=1, user="kim", command="install")
    left = replace(here.stored(INGRESS), helm_revision=2, status="pending-upgrade", updated=datetime.now(UTC))
    here.cluster.storage.put(left)
    theirs = replace(here.stored(ISTIOD), helm_revision=2, status="pending-upgrade")
    asyncio.get_running_loop().call_later(1, here.cluster.storage.put, theirs)
    with pytest.raises(ReleaseError, match="release istiod is pending-upgrade: another Helm"):
        await here.set(clear_pending=word)
    assert here.wrote()[3:] == []


async def test_what_somebody_elses_helm_left_is_cleared_on_the_users_word(here: Here) -> None:
    await here.install()
    here.cluster.storage.older.append(here.stored(ISTIOD))
    updated = datetime.now(UTC) - timedelta(minutes=3)
    here.cluster.storage.put(replace(here.stored(ISTIOD), helm_revision=2, status="pending-upgrade", updated=updated))
    with pytest.raises(ReleaseError, match="release istiod is pending-upgrade") as caught:
        await here.install(AGAIN)
    assert "--yes" in caught.value.hint
    assert "started 3m00s ago" in caught.value.detail
    done = await here.set(AGAIN, clear_pending=True)
    assert "pending-upgrade (Helm revision 2)" in str(data_of(done)["steps"])
    assert here.cluster.storage.asked("forget") == ["istiod 2"]
    assert here.runs[-1].releases[1].before == 1, "what was pending did not stand"
