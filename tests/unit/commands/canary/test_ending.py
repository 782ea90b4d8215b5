"""What keeps a canary from being promoted or abandoned, and what comes back when it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.abort import abandon, plan_abandonment
from nksmesh.commands.canary.ending import EndResult
from nksmesh.commands.canary.leaving import check_restarted
from nksmesh.commands.canary.promote import plan_promotion, promote
from nksmesh.commands.canary.start import later_base
from nksmesh.commands.install import InstallResult
from nksmesh.domain.common.errors import CheckError, ClusterError, MeshError, NotReadyError
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.mesh.mesh import Standing
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import BASE, ISTIOD, installed
from tests.unit.domain.meshes import mesh as mesh_of
from tests.unit.fakes.canaries import (
    CART,
    LATER,
    NEW,
    canary,
    deployment,
    kept,
    namespace,
    on_proxies,
    owner_of,
    pod,
    record,
    webhook,
)
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.upgrades import order


class TestEnding:
    """What keeps a canary from being promoted or abandoned."""

    async def test_workloads_on_the_old_istiod_keep_it(self, mesh: FakeCluster) -> None:
        with pytest.raises(CheckError, match="1 workload is on istiod still") as refused:
            await plan_promotion(mesh, "", restart=False, force=False)
        assert refused.value.detail == "Deployment shop/cart"
        forced = await plan_promotion(mesh, "", restart=False, force=True)
        assert ([str(one) for one in forced.left], forced.returning) == (["Deployment shop/cart"], ("pay",))
        restarted = await plan_promotion(mesh, "", restart=True, force=False)
        assert ([str(one) for one in restarted.restarting], restarted.left) == (["Deployment shop/cart"], ())

    async def test_what_no_restart_is_for_keeps_it_too(self, mesh: FakeCluster) -> None:
        on_proxies(mesh, pod("tool", "shop", "default"), pod("tool", "pay", "1-22-8"))
        with pytest.raises(CheckError, match="1 workload is on istiod still") as refused:
            await plan_promotion(mesh, "", restart=True, force=False)
        assert refused.value.detail.startswith("Pod shop/tool: nothing would recreate it")
        with pytest.raises(CheckError, match="1 workload is on istiod-1-22-8 still"):
            await plan_abandonment(mesh, "", force=False)

    async def test_what_istiod_keeps_itself_follows_the_default(self, mesh: FakeCluster) -> None:
        managed = {"gateway.istio.io/managed": "istio.io-gateway-controller"}
        on_proxies(mesh, *deployment("edge", "shop", "default", **managed))
        plan = await plan_promotion(mesh, "", restart=False, force=False)
        assert (plan.left, plan.restarting) == ((), ())

    async def test_a_namespace_labelled_for_it_keeps_it_though_nothing_runs_there(self, mesh: FakeCluster) -> None:
        on_proxies(mesh)
        mesh.objects.put(namespace("night", istio_rev="1-22-8"))
        with pytest.raises(CheckError, match="1 namespace is labelled for istiod-1-22-8") as refused:
            await plan_abandonment(mesh, "", force=False)
        assert refused.value.detail == "Namespace night"
        forced = await plan_abandonment(mesh, "", force=True)
        assert (forced.stranded, EndResult(plan=forced).warnings) == (("night",), ())
        # istio-injection has precedence: such a namespace follows the default
        mesh.objects.put(namespace("night", istio_rev="1-22-8", istio_injection="enabled"))
        assert (await plan_abandonment(mesh, "", force=False)).stranded == ()

    @pytest.mark.parametrize("outcome", [Outcome.HELD_BACK, Outcome.OTHER_PROXY, Outcome.FAILED])
    def test_an_istiod_stays_while_a_workload_has_not_come_off_it(self, outcome: Outcome) -> None:
        error = NotReadyError("it broke", hint="h") if outcome is Outcome.FAILED else None
        one = Restart(workload=CART, outcome=outcome, message="a budget allows 0", error=error)
        with pytest.raises(MeshError) as refused:
            check_restarted(RestartResult(restarts=(one,)), "istiod", force=False)
        if error:
            assert refused.value.__notes__ == ["istiod stays until no workload uses it"]
        else:
            assert (refused.value.exit_code, "a budget allows 0" in refused.value.detail) == (7, True)
        check_restarted(RestartResult(restarts=(one,)), "istiod", force=True)
        check_restarted(RestartResult(), "istiod", force=False)

    async def test_a_restart_does_not_help_who_names_the_old_revision(self, mesh: FakeCluster) -> None:
        old = replace(canary(), release=LATER, answers=Recorded(standing=Standing(istio_revision="1-24-6")))
        own = record(old, istio_revision="1-22-8")
        mesh.records.kept = {"istio-system": replace(own, releases=(*own.releases, kept(NEW)))}
        with pytest.raises(CheckError) as refused:
            await plan_promotion(mesh, "", restart=True, force=False)
        assert refused.value.detail == "Deployment pay/till"  # its namespace is labelled istio.io/rev=1-22-8

    async def test_workloads_put_on_the_canary_by_hand_keep_it(self, mesh: FakeCluster) -> None:
        plan = await plan_abandonment(mesh, "", force=False)
        assert ([str(one) for one in plan.restarting], plan.returning) == (["Deployment pay/till"], ("pay",))
        mesh.objects.put(namespace("pay", istio_rev="1-22-8"))
        with pytest.raises(CheckError, match="1 workload is on istiod-1-22-8 still") as refused:
            await plan_abandonment(mesh, "", force=False)
        assert "labelled by hand" in refused.value.hint
        assert [str(one) for one in (await plan_abandonment(mesh, "", force=True)).left] == ["Deployment pay/till"]

    async def test_a_tag_that_a_promotion_took_comes_back_by_itself(self, mesh: FakeCluster) -> None:
        taken = canary(promoting=True, tags=("default", "prod", "own"))
        mesh.records.kept = {"istio-system": record(taken, tags=("prod",))}
        mesh.objects.put(namespace("night", istio_rev="prod"))
        mesh.objects.put(namespace("trial", istio_rev="own"))
        with pytest.raises(CheckError) as refused:
            await plan_abandonment(mesh, "", force=False)
        assert refused.value.detail == "Namespace trial"

    async def test_base_stays_where_the_canary_brought_it(self, mesh: FakeCluster) -> None:
        assert await later_base(record(canary()), mesh) == ""
        mesh.storage.put(installed(BASE, chart_version="1.22.8"))
        assert await later_base(record(canary()), mesh) == "1.22.8"


@pytest.fixture
def runtime(mesh: FakeCluster, helm: FakeHelm, heard: Heard) -> Runtime:
    return runtime_of(mesh, helm=helm, listener=heard)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let installs be noted, and done at once."""
    noted: list[str] = []

    async def noting(_: MeshRequest, __: Runtime, *, command: str, dry_run: bool) -> InstallResult:
        assert not dry_run
        noted.append(command)
        return InstallResult(plan=Plan(mesh=mesh_of(), steps=(), releases={}))

    monkeypatch.setattr("nksmesh.commands.canary.start.install", noting)
    return noted


async def test_a_tag_that_a_stopped_run_gave_away_comes_back_before_the_canary_goes(
    mesh: FakeCluster, runtime: Runtime, commands: list[str]
) -> None:
    mesh.records.kept = {"istio-system": record(canary(), tags=("prod",))}
    mesh.objects.put(webhook("istio-revision-tag-prod", NEW, tag="prod", rev="default"))
    on_proxies(mesh)
    await abandon(await plan_abandonment(mesh, "", force=False), order("1.20.1"), runtime)
    assert owner_of(mesh, "istio-revision-tag-prod") == ISTIOD.name
    assert commands == ["canary abort (the default goes back)", "canary abort"]


class TestAgreed:
    """The cluster may have changed while the user thought: no more is done than was shown."""

    async def test_a_workload_that_came_meanwhile_is_not_restarted(
        self, mesh: FakeCluster, runtime: Runtime, commands: list[str]
    ) -> None:
        shown = await plan_promotion(mesh, "", restart=True, force=False)
        on_proxies(mesh, *deployment("cart", "shop", "default"), *deployment("late", "shop", "default"))
        with pytest.raises(ClusterError, match="Deployment shop/late is restarted; nothing was changed") as refused:
            await promote(shown, order("1.20.1"), runtime)
        assert "same command again" in refused.value.hint
        assert (commands, mesh.objects.asked("merge")) == ([], [])

    async def test_a_namespace_that_was_moved_meanwhile_is_named(
        self, mesh: FakeCluster, runtime: Runtime, commands: list[str]
    ) -> None:
        shown = await plan_abandonment(mesh, "", force=False)
        before = await plan_abandonment(mesh, "", force=False)
        shown = replace(shown, returning=(), restarting=())
        assert before.beyond(shown) == ("namespace pay gets its former labels back", "Deployment pay/till is restarted")
        with pytest.raises(ClusterError, match="removing the canary would now do more than was shown: namespace pay"):
            await abandon(shown, order("1.20.1"), runtime)
        assert (commands, mesh.objects.asked("merge")) == ([], [])

    async def test_somebody_who_came_on_the_old_istiod_keeps_it(
        self, mesh: FakeCluster, runtime: Runtime, commands: list[str]
    ) -> None:
        on_proxies(mesh)
        shown = await plan_promotion(mesh, "", restart=False, force=False)
        on_proxies(mesh, *deployment("late", "shop", "default"))
        with pytest.raises(CheckError, match="1 workload is on istiod still"):
            await promote(shown, order("1.20.1"), runtime)
        assert commands == []

    async def test_another_canary_is_not_ended(self, mesh: FakeCluster) -> None:
        plan = await plan_abandonment(mesh, "", force=False)
        other = replace(plan, going="istiod-1-24-6")
        assert other.beyond(plan) == ("istiod-1-24-6 is removed, istiod stays",)

    async def test_less_to_do_is_no_reason(self, mesh: FakeCluster) -> None:
        shown = await plan_abandonment(mesh, "", force=False)
        mesh.objects.put(namespace("pay", istio_injection="enabled"))
        on_proxies(mesh)
        assert (await plan_abandonment(mesh, "", force=False)).beyond(shown) == ()
