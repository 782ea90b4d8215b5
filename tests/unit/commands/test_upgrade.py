"""Upgrades over fakes: the road is taken step by step, each proved, and what must not be is refused before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.plan import preview
from nksmesh.commands.upgrade import upgrade
from nksmesh.commands.upgrade.path import UpgradeExtent, UpgradeOptions, check_hops
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ChartError, CheckError, ConfigError, NotReadyError, ReleaseError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.restarts import Outcome, Restart, RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.mesh.mesh import GatewaySpec
from nksmesh.domain.plan.upgrade_path import Hop, UpgradePath
from nksmesh.domain.values.set_values import parse_set
from tests.unit.domain.meshes import BASE, EDGE, HUB, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import SIGNED, crd, deployment, pod
from tests.unit.fakes.upgrades import Journeys, VersionedHelm, injector, proxy, request_for


@pytest.fixture
async def world(cluster: FakeCluster, heard: Heard) -> Journeys:
    """A mesh of 1.19.0."""
    made = Journeys(cluster, heard)
    cluster.objects.put(crd("gateways.networking.istio.io"))
    await made.install(request_for("1.19.0"))
    made.helm.calls.clear()
    heard.events.clear()
    return made


@pytest.fixture
def restarts(world: Journeys, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Restart workloads at once, onto the running istiod's proxy; note onto which."""
    done: list[str] = []

    async def restart(workloads: Iterable[Workload], *_: Any, proxy_image: str = "", **__: Any) -> RestartResult:
        assert world.cluster.lease.holding
        done.append(proxy_image)
        world.have_sidecar(world.helm.istio)
        return RestartResult(
            restarts=tuple(Restart(workload=workload, outcome=Outcome.RESTARTED, message="") for workload in workloads)
        )

    monkeypatch.setattr(upgrade, "restart_workloads", restart)
    return done


async def test_a_minor_is_one_step(world: Journeys) -> None:
    result = await world.upgrade("1.20.0")
    assert world.wrote() == [f"upgrade {name}" for name in (BASE.name, ISTIOD.name, INGRESS.name)]
    assert (result.version, result.left, result.warnings) == ("1.20.0", (), ())
    assert world.versions == {"1.20.0"}
    assert world.cluster.lease.asked("held")[-1] == "upgrade"
    assert (await world.upgrade("1.20.0")).steps[0].plan.changes is False


async def test_install_and_plan_do_not_change_the_version(world: Journeys) -> None:
    with pytest.raises(ConfigError, match=r"1\.19\.0 is installed, but 1\.20\.0") as caught:
        await world.install(request_for("1.20.0"))
    assert "nksmesh upgrade --to 1.20.0" in caught.value.hint
    with pytest.raises(ConfigError):
        await world.preview(request_for("1.20.0"))
    world.cluster.records.kept.clear()
    with pytest.raises(ConfigError, match=r"the default version is 1\.22\.8"):
        await world.install(request_for(""))
    assert world.wrote() == []


async def test_what_nobody_recorded_keeps_its_values_and_its_gateways(world: Journeys) -> None:
    world.cluster.records.kept.clear()
    helm = world.cluster.storage
    said = helm.kept[ISTIOD.namespace, ISTIOD.name].values
    by_hand = replace(EDGE, namespace=ISTIOD.namespace)
    helm.put(installed(by_hand, chart_version="1.19.0", manifest="sidecar.istio.io/inject"))
    helm.put(
        replace(
            helm.kept[ISTIOD.namespace, ISTIOD.name],
            manifest=SIGNED,
            values={**said, "meshConfig": {"accessLogFile": "/dev/stdout"}, "pilot": {}},
        )
    )
    with pytest.raises(ConfigError, match=r"Istio 1\.19\.0 is installed, but not recorded") as caught:
        await world.upgrade("1.20.0")
    assert caught.value.detail.splitlines() == [
        "istiod would lose values: meshConfig.accessLogFile",
        "release edge in istio-system (gateway) would not be part of this mesh",
    ]
    assert "nksmesh adopt" in caught.value.hint
    with pytest.raises(ConfigError, match="not recorded"):
        await world.install(request_for("1.19.0"))
    assert world.wrote() == []
    helm.kept.pop((ISTIOD.namespace, EDGE.name))
    log = request_for("1.20.0", sets=(parse_set("istiod:meshConfig.accessLogFile=/dev/null"),))
    await world.upgrade("1.20.0", asked=log)
    assert world.versions == {"1.20.0"}


async def test_a_release_of_plain_helms_that_comes_into_the_mesh_keeps_its_values(world: Journeys) -> None:
    both = Environment(
        name="prod",
        path="values/environments/prod/mesh.yaml",
        gateways=(GatewaySpec(name=INGRESS.name), GatewaySpec(name=EDGE.name, namespace=EDGE.namespace)),
    )
    world.cluster.storage.put(installed(EDGE, chart_version="1.19.0", values={"replicaCount": 3}))
    world.helm.renders[EDGE.name] = [deployment(EDGE.name)]
    with pytest.raises(ConfigError, match="edge was installed with Helm and is not part of this mesh yet") as caught:
        await world.install(replace(request_for("1.19.0"), environment=both))
    assert caught.value.detail == "edge would lose values: replicaCount"
    assert world.wrote() == []


async def test_what_was_never_installed_to_its_end_may_change_it(world: Journeys) -> None:
    for key, one in world.cluster.storage.kept.items():
        world.cluster.storage.kept[key] = replace(one, status="failed", helm_revision=1)
    await world.install(request_for("1.20.0"))
    assert world.versions == {"1.20.0"}


async def test_a_longer_road_is_shown_and_not_taken(world: Journeys) -> None:
    with pytest.raises(ConfigError) as caught:
        await world.upgrade("1.21.6")
    assert caught.value.exit_code == 2
    assert caught.value.detail.splitlines() == ["1. 1.19.0 -> 1.20.1", "2. 1.20.1 -> 1.21.6"]
    assert "nksmesh canary start --to 1.21.6" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        await world.upgrade("1.22.8")
    assert "canary" not in caught.value.hint
    assert world.wrote() == []


async def test_one_step_of_it_says_what_is_left(world: Journeys) -> None:
    result = await world.upgrade("1.22.8", UpgradeExtent.STEP)
    assert (result.version, result.left) == ("1.20.1", ("1.21.6", "1.22.8"))
    assert world.versions == {"1.20.1"}


async def test_the_whole_of_it_has_a_health_check_after_each_step(world: Journeys) -> None:
    result = await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert [step.plan.mesh.version for step in result.steps] == ["1.20.1", "1.21.6"]
    assert world.heard.said(EventKind.DONE, "1.20.1 health") == ["3 releases are ready"]
    assert world.versions == {"1.21.6"}


async def test_a_mesh_that_does_not_stay_ready_is_not_taken_further(world: Journeys) -> None:
    def break_later() -> None:
        def fail(*_: Any) -> None:
            stale = replace(world.cluster.storage.kept[INGRESS.namespace, INGRESS.name], status="failed")
            world.cluster.storage.put(stale)

        listener = world.heard.__call__

        def heard(event: Any) -> None:
            listener(event)
            if event.kind is EventKind.STARTED and event.step.endswith("health"):
                fail()

        world.heard = heard  # type: ignore[assignment]  # a listener that breaks the mesh at the right time

    said = world.heard
    break_later()
    with pytest.raises(NotReadyError, match="istio-ingressgateway: ") as caught:
        await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert caught.value.__notes__ == ["the steps were: 1.19.0 -> 1.20.1 -> 1.21.6; reached: 1.20.1"]
    assert world.versions == {"1.20.1"}
    assert said.said(EventKind.FAILED, "1.20.1 health")


async def test_a_step_that_fails_says_where_on_the_road_it_is(world: Journeys) -> None:
    world.helm.fails_on[INGRESS.name] = ReleaseError("helm upgrade failed", hint="x")
    with pytest.raises(ReleaseError) as caught:
        await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert caught.value.__notes__[-1] == "the steps were: 1.19.0 -> 1.20.1 -> 1.21.6; reached: 1.19.0"
    del world.helm.fails_on[INGRESS.name]
    # the gateway is brought to 1.20.1 before the next minor
    result = await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert [(hop.version, hop.finishes) for hop in result.road.hops] == [("1.20.1", True), ("1.21.6", False)]
    assert world.versions == {"1.21.6"}


async def test_a_gateway_that_runs_an_older_proxy_is_finished_first(world: Journeys) -> None:
    await world.upgrade("1.20.0")
    old = pod("gateway", image=proxy("1.19.0"))
    old["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": INGRESS.name,
        "meta.helm.sh/release-namespace": INGRESS.namespace,
    }
    del old["metadata"]["ownerReferences"]
    world.cluster.objects.put(old)
    with pytest.raises(ConfigError) as caught:
        await world.upgrade("1.21.6")
    assert caught.value.detail.splitlines()[0] == "1. finish 1.20.0"


async def test_a_dry_run_plans_the_first_step(world: Journeys) -> None:
    result = await world.upgrade("1.20.1", dry_run=True)
    assert (result.version, result.left) == ("1.19.0", ("1.20.1",))
    assert result.steps[0].dry_run is True
    assert world.wrote() == []


async def test_charts_that_cannot_be_had_close_the_road_before_anything_is_written(world: Journeys) -> None:
    world.charts.missing = {"1.21.6"}
    with pytest.raises(CheckError, match=r"there is no chart base 1\.21\.6") as caught:
        await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert "2. 1.20.1 -> 1.21.6; there is no chart" in caught.value.detail
    world.charts.missing = {"1.20.1", "1.21.6"}
    with pytest.raises(ChartError, match=r"there is no chart base 1\.20\.1"):
        await world.upgrade("1.20.1")
    assert world.wrote() == []
    world.charts.missing = {"1.21.6"}
    await world.upgrade("1.21.6", UpgradeExtent.STEP)
    assert world.versions == {"1.20.1"}


async def test_there_is_nothing_to_upgrade_where_nothing_is_installed(cluster: FakeCluster, heard: Heard) -> None:
    with pytest.raises(ConfigError, match="there is nothing to upgrade"):
        await Journeys(cluster, heard).upgrade("1.20.0")


async def test_an_istiod_that_cannot_be_upgraded_is_named_with_the_way_to_it(world: Journeys) -> None:
    istiod = world.cluster.storage.kept.pop((ISTIOD.namespace, ISTIOD.name))
    with pytest.raises(ConfigError, match="Helm has no release of it") as caught:
        await world.upgrade("1.20.0")
    assert "nksmesh install " in caught.value.hint
    world.cluster.records.kept.clear()
    world.cluster.storage.put(replace(istiod, name="istio", manifest="istio"))
    with pytest.raises(ConfigError, match=r"1\.19\.0 is installed as Helm release istio, but not recorded") as caught:
        await world.upgrade("1.20.0")
    assert "nksmesh adopt" in caught.value.hint


async def test_workloads_on_the_old_proxy_are_listed(world: Journeys) -> None:
    world.have_sidecar("1.19.0")
    result = await world.upgrade("1.20.0")
    assert [(str(one), one.proxies) for one in result.behind] == [("Deployment shop/cart", (proxy("1.19.0"),))]
    assert result.restarted is None


async def test_workloads_are_restarted_when_that_is_asked_for(world: Journeys, restarts: list[str]) -> None:
    world.have_sidecar("1.19.0")
    result = await world.upgrade("1.22.8", UpgradeExtent.ALL, restart_workloads=True)
    # before the second and the third step, for istiod serves proxies of one minor before it, and at the end
    assert restarts == [proxy("1.20.1"), proxy("1.21.6"), proxy("1.22.8")]
    assert result.restarted is not None
    assert result.restarted.complete
    assert world.versions == {"1.22.8"}


async def test_a_proxy_that_would_be_too_old_stops_it_before_anything_is_written(world: Journeys) -> None:
    world.have_sidecar("1.19.0")
    with pytest.raises(CheckError, match=r"1 workload runs a proxy that istiod 1\.21\.6 does not support") as caught:
        await world.upgrade("1.21.6", UpgradeExtent.ALL)
    assert caught.value.detail == f"Deployment shop/cart: {proxy('1.19.0')}"
    assert "--restart-workloads" in caught.value.hint
    assert world.wrote() == []
    forced = replace(request_for("1.21.6"), force_version=True)
    result = await world.upgrade("1.21.6", UpgradeExtent.ALL, asked=forced)
    assert "Deployment shop/cart" in result.warnings[0]


async def test_one_that_cannot_be_restarted_stops_it_too(world: Journeys, restarts: list[str]) -> None:
    world.have_sidecar("1.19.0", kind="Job")
    with pytest.raises(CheckError) as caught:
        await world.upgrade("1.21.6", UpgradeExtent.ALL, restart_workloads=True)
    assert "let it end" in caught.value.detail
    assert restarts == []


async def test_an_environment_that_says_another_version_is_told(world: Journeys) -> None:
    prod = Environment(name="prod", path="values/environments/prod/mesh.yaml", version="1.19.0")
    result = await world.upgrade("1.20.0", asked=replace(request_for("1.20.0"), environment=prod))
    assert result.warnings == ("values/environments/prod/mesh.yaml has version 1.19.0: change it to 1.20.0",)


async def test_a_key_that_only_the_installed_charts_had_is_named_before(world: Journeys) -> None:
    world.charts.defaults = {"1.19.0": {"pilot": {"old": 1}}, "1.20.0": {"pilot": {"new": 1}}}
    asked = request_for("1.20.0", sets=(parse_set("istiod:pilot.old=2"), parse_set("istiod:pilot.odd=2")))
    planned = await preview(
        replace(asked, allow_version_change=True),
        world.runtime,
        diff=False,
        exit_code=False,
    )
    messages = [finding.message for finding in planned.plan.findings]
    assert any("of chart istiod 1.20.0 reads pilot.old; 1.19.0 did" in message for message in messages)
    assert any(message.endswith("no template of chart istiod 1.20.0 reads pilot.odd") for message in messages)
    # charts that are not to be had any more only explain less
    world.charts.missing = {"1.19.0"}
    result = await world.upgrade("1.20.0", asked=asked)
    assert any(finding.message.endswith("reads pilot.old") for finding in result.steps[0].plan.findings)


async def test_a_plan_to_another_version_shows_both_and_the_road(world: Journeys) -> None:
    asked = replace(request_for("1.21.6"), allow_version_change=True)
    result = await world.preview(asked, diff=True)
    data = data_of(result)
    assert [one["version"] for one in data["road"]] == ["1.20.1", "1.21.6"]
    assert {(chart["chart"], chart["installed"], chart["wanted"]) for chart in data["charts"]} == {
        (name, "1.19.0", "1.21.6") for name in ("base", "istiod", "gateway")
    }
    lines = [line for one in data["diff"] for line in one["lines"]]
    assert any(line.startswith("-") and "pilot:1.19.0" in line for line in lines)
    assert any(line.startswith("+") and "pilot:1.21.6" in line for line in lines)


async def test_an_istiod_that_renders_nothing_is_refused(world: Journeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VersionedHelm, "be_at", lambda helm, _: helm.renders.update({ISTIOD.name: []}))
    with pytest.raises(ChartError, match=r"istiod 1\.20\.0 renders no istiod Deployment") as caught:
        await world.upgrade("1.20.0")
    assert "global.resourceScope" in caught.value.hint
    assert world.wrote() == []


@pytest.mark.parametrize("tag", ["1.19.0", "v1.19.0", "1.19.0-distroless"])
async def test_a_tag_that_the_values_pin_is_refused(world: Journeys, tag: str) -> None:
    be_at = world.helm.be_at

    def stay(version: str) -> None:
        be_at(version)
        world.helm.renders[ISTIOD.name] = [deployment("istiod", image=f"{HUB}/pilot:{tag}"), injector(tag)]

    world.helm.be_at = stay  # type: ignore[method-assign]  # what a chart does with such a value
    asked = request_for("1.20.0", sets=(parse_set(f"istiod:global.tag={tag}"),))
    with pytest.raises(CheckError, match=r"images of another version would run with the charts of 1\.20\.0") as caught:
        await world.upgrade("1.20.0", asked=asked)
    assert (
        f"{HUB}/pilot:{tag} in Deployment istio-system/istiod (container app), pinned by --set" in caught.value.detail
    )
    assert "(global.tag)" in caught.value.detail
    assert world.wrote() == []
    planned = await world.preview(replace(asked, allow_version_change=True, force_version=True))
    assert any("images of another version" in finding.message for finding in planned.plan.findings)


async def test_a_tag_of_ones_own_is_nobodys_elses(world: Journeys) -> None:
    be_at = world.helm.be_at

    def build(version: str) -> None:
        be_at(version)
        world.helm.renders[ISTIOD.name] = [deployment("istiod", image=f"{HUB}/pilot:patched"), injector("patched")]

    world.helm.be_at = build  # type: ignore[method-assign]  # what a chart does with such a value
    result = await world.preview(replace(request_for("1.20.0"), allow_version_change=True))
    assert not any("another version" in finding.message for finding in result.plan.findings)


async def test_crds_that_the_older_base_does_not_have_are_kept_before_helm_writes(world: Journeys) -> None:
    be_at, crds = world.helm.be_at, [crd("a.istio.io"), crd("b.istio.io")]

    def bring(version: str) -> None:
        be_at(version)
        world.helm.renders[BASE.name] = crds if version == "1.20.1" else []

    world.helm.be_at = bring  # type: ignore[method-assign]  # charts from 1.24 on have their CRDs so
    world.cluster.live.show(*crds)
    await world.upgrade("1.20.1")
    kept: list[list[str]] = []
    world.helm.then[BASE.name] = lambda: kept.append(world.cluster.objects.asked("merge"))
    world.cluster.objects.calls.clear()
    await world.upgrade("1.19.0")
    assert kept == [["CustomResourceDefinition a.istio.io", "CustomResourceDefinition b.istio.io"]]


async def test_a_base_that_is_pruned_leaves_its_crds(world: Journeys) -> None:
    old = replace(BASE, name="old-base")
    record = world.cluster.records.kept["istio-system"]
    one = replace(record.releases[0], release=old)
    world.cluster.records.kept["istio-system"] = replace(record, releases=(*record.releases, one))
    manifest = world.helm.text([crd("a.istio.io")])
    world.cluster.storage.put(installed(old, chart_version="1.24.6", manifest=manifest))
    policies: list[bool] = []

    def look() -> None:
        stored = world.cluster.storage.kept[old.namespace, old.name]
        policies.append('"helm.sh/resource-policy": "keep"' in stored.manifest)

    world.helm.then[old.name] = look
    await world.install(replace(request_for("1.19.0"), prune=True))
    assert policies == [True]


def test_every_step_that_is_closed_is_named_and_the_road_is_shown_once() -> None:
    closed = [Finding(id="upgrade.missing-chart", message=f"no charts of {version}") for version in ("1.20", "1.21")]
    hops = (Hop(version="1.20.1", findings=(closed[0],)), Hop(version="1.21.6", findings=(closed[1],)))
    path = UpgradePath(installed="1.19.0", wanted="1.21.6", hops=hops)
    assert [finding.id for finding in check_hops(path, UpgradeOptions())] == ["upgrade.several-steps"]
    assert check_hops(path, UpgradeOptions(way=UpgradeExtent.STEP)) == (
        replace(closed[0], detail="\n".join(path.told())),
    )
    with pytest.raises(CheckError, match=r"no charts of 1\.20; no charts of 1\.21") as caught:
        refuse_failures(check_hops(path, UpgradeOptions(way=UpgradeExtent.ALL)))
    assert caught.value.detail.splitlines() == [
        "1. 1.19.0 -> 1.20.1; no charts of 1.20",
        "2. 1.20.1 -> 1.21.6; no charts of 1.21",
    ]
