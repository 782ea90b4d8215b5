"""What keeps a canary from being aborted, and what comes back when it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.abort import abort, plan_abort
from nksmesh.commands.canary.plan import CanaryResult
from nksmesh.commands.canary.start import later_base
from nksmesh.domain.common.errors import CheckError, ClusterError
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import BASE, ISTIOD, installed
from tests.unit.fakes.canaries import NEW, canary, namespace, on_proxies, owner_of, pod, record, webhook
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.upgrades import request_for


async def test_a_namespace_labelled_for_it_keeps_it_though_nothing_runs_there(mesh: FakeCluster) -> None:
    on_proxies(mesh)
    mesh.objects.put(namespace("night", istio_rev="1-22-8"))
    with pytest.raises(CheckError, match="1 namespace is labelled for istiod-1-22-8") as refused:
        await plan_abort(mesh, "", force=False)
    assert refused.value.detail == "Namespace night"
    forced = await plan_abort(mesh, "", force=True)
    assert (forced.stranded, CanaryResult(plan=forced).warnings) == (("night",), ())
    # istio-injection has precedence: such a namespace follows the default
    mesh.objects.put(namespace("night", istio_rev="1-22-8", istio_injection="enabled"))
    assert (await plan_abort(mesh, "", force=False)).stranded == ()


async def test_what_no_restart_is_for_keeps_it_too(mesh: FakeCluster) -> None:
    on_proxies(mesh, pod("tool", "shop", "default"), pod("tool", "pay", "1-22-8"))
    with pytest.raises(CheckError, match="1 workload is still on istiod-1-22-8"):
        await plan_abort(mesh, "", force=False)


async def test_workloads_put_on_the_canary_by_hand_keep_it(mesh: FakeCluster) -> None:
    plan = await plan_abort(mesh, "", force=False)
    assert ([str(workload) for workload in plan.restarting], plan.returning) == (["Deployment pay/till"], ("pay",))
    mesh.objects.put(namespace("pay", istio_rev="1-22-8"))
    with pytest.raises(CheckError, match="1 workload is still on istiod-1-22-8") as refused:
        await plan_abort(mesh, "", force=False)
    assert "labelled by hand" in refused.value.hint
    assert [str(workload) for workload in (await plan_abort(mesh, "", force=True)).left] == ["Deployment pay/till"]


async def test_a_tag_that_a_promotion_took_comes_back_by_itself(mesh: FakeCluster) -> None:
    taken = canary(promoting=True, tags=("default", "prod", "own"))
    mesh.records.kept = {"istio-system": record(taken, tags=("prod",))}
    mesh.objects.put(namespace("night", istio_rev="prod"))
    mesh.objects.put(namespace("trial", istio_rev="own"))
    with pytest.raises(CheckError) as refused:
        await plan_abort(mesh, "", force=False)
    assert refused.value.detail == "Namespace trial"


async def test_base_stays_where_the_canary_brought_it(mesh: FakeCluster) -> None:
    assert await later_base(record(canary()), mesh) == ""
    mesh.storage.put(installed(BASE, chart_version="1.22.8"))
    assert await later_base(record(canary()), mesh) == "1.22.8"


async def test_a_tag_that_a_stopped_run_gave_away_comes_back_before_the_canary_goes(
    mesh: FakeCluster, runtime: Runtime, commands: list[str]
) -> None:
    mesh.records.kept = {"istio-system": record(canary(), tags=("prod",))}
    mesh.objects.put(webhook("istio-revision-tag-prod", NEW, tag="prod", rev="default"))
    on_proxies(mesh)
    await abort(await plan_abort(mesh, "", force=False), request_for("1.20.1"), runtime)
    assert owner_of(mesh, "istio-revision-tag-prod") == ISTIOD.name
    assert commands == ["canary abort (the default goes back)", "canary abort"]


async def test_a_namespace_that_was_moved_meanwhile_is_named(
    mesh: FakeCluster, runtime: Runtime, commands: list[str]
) -> None:
    shown = await plan_abort(mesh, "", force=False)
    before = await plan_abort(mesh, "", force=False)
    shown = replace(shown, returning=(), restarting=())
    assert before.beyond(shown) == ("namespace pay gets its former labels back", "Deployment pay/till is restarted")
    with pytest.raises(ClusterError, match="removing the canary would now do more than was shown: namespace pay"):
        await abort(shown, request_for("1.20.1"), runtime)
    assert (commands, mesh.objects.asked("merge")) == ([], [])


async def test_another_canary_is_not_ended(mesh: FakeCluster) -> None:
    plan = await plan_abort(mesh, "", force=False)
    other = replace(plan, going="istiod-1-24-6")
    assert other.beyond(plan) == ("istiod-1-24-6 is removed, istiod stays",)


async def test_less_to_do_is_no_reason(mesh: FakeCluster) -> None:
    shown = await plan_abort(mesh, "", force=False)
    mesh.objects.put(namespace("pay", istio_injection="enabled"))
    on_proxies(mesh)
    assert (await plan_abort(mesh, "", force=False)).beyond(shown) == ()
