"""What keeps a canary from being promoted, and what is proved before the old injector goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.plan import check_restarted
from nksmesh.commands.canary.promote import check_default_tag, plan_promote, promote
from nksmesh.commands.canary.steps import UnusedStep
from nksmesh.domain.common.errors import ChartError, CheckError, ClusterError, MeshError, NotReadyError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.plan import Action, Plan
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import change
from tests.unit.domain.meshes import mesh as mesh_of
from tests.unit.fakes.canaries import CART, LATER, NEW, canary, deployment, kept, on_proxies, pod, record, webhook
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.upgrades import request_for


async def test_workloads_on_the_old_istiod_keep_it(mesh: FakeCluster) -> None:
    with pytest.raises(CheckError, match="1 workload is still on istiod") as refused:
        await plan_promote(mesh, "", restart=False, force=False)
    assert refused.value.detail == "Deployment shop/cart"
    forced = await plan_promote(mesh, "", restart=False, force=True)
    assert ([str(one) for one in forced.left], forced.returning) == (["Deployment shop/cart"], ("pay",))
    restarted = await plan_promote(mesh, "", restart=True, force=False)
    assert ([str(one) for one in restarted.restarting], restarted.left) == (["Deployment shop/cart"], ())


async def test_what_no_restart_is_for_keeps_it_too(mesh: FakeCluster) -> None:
    on_proxies(mesh, pod("tool", "shop", "default"), pod("tool", "pay", "1-22-8"))
    with pytest.raises(CheckError, match="1 workload is still on istiod") as refused:
        await plan_promote(mesh, "", restart=True, force=False)
    assert refused.value.detail.startswith("Pod shop/tool: nothing would recreate it")


async def test_what_istiod_keeps_itself_follows_the_default(mesh: FakeCluster) -> None:
    managed = {"gateway.istio.io/managed": "istio.io-gateway-controller"}
    on_proxies(mesh, *deployment("edge", "shop", "default", **managed))
    plan = await plan_promote(mesh, "", restart=False, force=False)
    assert (plan.left, plan.restarting) == ((), ())


async def test_a_restart_does_not_help_who_names_the_old_revision(mesh: FakeCluster) -> None:
    old = replace(canary(), release=LATER, settings=Recorded(revisions=DeployedRevisions(istio_revision="1-24-6")))
    own = record(old, istio_revision="1-22-8")
    mesh.records.kept = {"istio-system": replace(own, releases=(*own.releases, kept(NEW)))}
    with pytest.raises(CheckError) as refused:
        await plan_promote(mesh, "", restart=True, force=False)
    assert refused.value.detail == "Deployment pay/till"  # its namespace is labelled istio.io/rev=1-22-8


@pytest.mark.parametrize("outcome", [Outcome.HELD_BACK, Outcome.OTHER_PROXY, Outcome.FAILED])
async def test_an_istiod_stays_while_a_workload_has_not_come_off_it(runtime: Runtime, outcome: Outcome) -> None:
    error = NotReadyError("it broke", hint="h") if outcome is Outcome.FAILED else None
    restart = Restart(workload=CART, outcome=outcome, message="a budget allows 0", error=error)

    async def check(*restarts: Restart, force: bool = False) -> None:
        step = UnusedStep(name="workloads", action=Action.PROVE, going="istiod", force=force)
        await Executor([step], runtime, progress=Progress(restarts=[*restarts]), account=False).run()

    with pytest.raises(MeshError) as refused:
        await check(restart)
    if error:
        assert refused.value.__notes__ == ["istiod stays until no workload uses it"]
    else:
        assert (refused.value.exit_code, "a budget allows 0" in refused.value.detail) == (7, True)
    await check(restart, force=True)
    await check()
    (finding,) = check_restarted(RestartResult(restarts=(restart,)), "istiod")
    assert finding.id == "canary.not-restarted"


async def test_a_workload_that_came_meanwhile_is_not_restarted(
    mesh: FakeCluster, runtime: Runtime, commands: list[str]
) -> None:
    shown = await plan_promote(mesh, "", restart=True, force=False)
    on_proxies(mesh, *deployment("cart", "shop", "default"), *deployment("late", "shop", "default"))
    with pytest.raises(ClusterError, match="Deployment shop/late is restarted; nothing was changed") as refused:
        await promote(shown, request_for("1.20.1"), runtime)
    assert "same command again" in refused.value.hint
    assert (commands, mesh.objects.asked("merge")) == ([], [])


async def test_somebody_who_came_on_the_old_istiod_keeps_it(
    mesh: FakeCluster, runtime: Runtime, commands: list[str]
) -> None:
    on_proxies(mesh)
    shown = await plan_promote(mesh, "", restart=False, force=False)
    on_proxies(mesh, *deployment("late", "shop", "default"))
    with pytest.raises(CheckError, match="1 workload is still on istiod"):
        await promote(shown, request_for("1.20.1"), runtime)
    assert commands == []


@pytest.mark.parametrize("tags", [[], ["prod"]])
def test_the_old_injector_stays_where_the_new_istiod_has_no_default_tag(tags: list[str]) -> None:
    manifests = [webhook(f"istio-revision-tag-{tag}", NEW, tag=tag) for tag in tags]

    def plan(*rendered: Manifest) -> Plan:
        return Plan(mesh=mesh_of(), steps=(), releases={NEW.name: replace(change(NEW), manifests=rendered)})

    with pytest.raises(ChartError, match="renders no tag default"):
        refuse_failures(check_default_tag(plan(*manifests), NEW))
    tagged = plan(*manifests, webhook("istio-revision-tag-default", NEW, tag="default"))
    assert check_default_tag(tagged, NEW) == ()
