"""Images are proved before the first write, over fakes: what pods would not get stops the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.upgrade.path import UpgradeExtent
from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.engine import images
from tests.unit.domain.meshes import HUB
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import crd, deployment
from tests.unit.fakes.registries import Table, istio
from tests.unit.fakes.upgrades import Journeys, request_for
from tests.unit.fakes.world import INJECTOR, World
from tests.unit.fakes.world import REQUEST as ASKED

REQUEST = replace(ASKED, check_images=True)
PILOT = f"{HUB}/pilot:1.20.0"


@pytest.fixture
def world(cluster: FakeCluster, heard: Heard) -> World:
    world = World(cluster, heard)
    world.helm.renders["istiod"] = [deployment("istiod", image=PILOT), INJECTOR]
    return world


def of_images(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.id: finding for finding in findings if finding.group == "images"}


async def test_every_image_that_would_be_pulled_is_looked_for_once(world: World) -> None:
    world.registries = istio()
    result = await world.install(REQUEST)
    assert sorted(world.registries.asked) == sorted([PILOT, f"{HUB}/proxyv2:1.20.0"])
    assert world.registries.begun == world.registries.opened == [HUB]
    assert of_images(result.plan.findings) == {}


async def test_nothing_is_written_where_an_image_is_missing(world: World) -> None:
    world.registries = istio(["pilot"])
    with pytest.raises(ImageError, match=r"proxyv2:1\.20\.0 does not exist") as caught:
        await world.install(REQUEST)
    assert caught.value.detail == "MANIFEST_UNKNOWN"
    assert "--no-check-images" in caught.value.hint
    assert world.wrote() == []
    assert world.cluster.lease.asked("held") == []
    assert world.cluster.records.asked("write") == []


async def test_a_missing_image_of_an_own_hub_names_the_command_that_brings_it(world: World) -> None:
    world.registries = istio(["pilot"])
    own = replace(REQUEST, options=replace(REQUEST.options, region="", hub=HUB))
    with pytest.raises(ImageError) as caught:
        await world.install(own)
    assert caught.value.hint.startswith(
        f"Run nksmesh images mirror --to {HUB} --version 1.20.0, or pass another --hub or --version."
    )


async def test_a_dry_run_looks_for_images_as_well(world: World) -> None:
    world.registries = istio([])
    with pytest.raises(ImageError):
        await world.install(REQUEST, dry_run=True)


async def test_a_registry_out_of_reach_is_one_warning_and_stops_nothing(world: World) -> None:
    world.registries = Table()
    world.registries.down = True
    result = await world.install(REQUEST)
    found = of_images(result.plan.findings)
    assert found["images.unreachable"].level is Level.WARNING
    assert found["images.unreachable"].message == (
        "the registry registry.example cannot be reached; its images were not looked for"
    )
    warned = [event.message for event in world.heard.events if event.kind is EventKind.WARNING]
    assert warned == [found["images.unreachable"].message]


async def test_a_registry_that_does_not_answer_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.registries = istio()
    world.registries.slow = 60
    monkeypatch.setattr(images, "_PROOF_SECONDS", 0.01)
    found = of_images((await world.install(REQUEST)).plan.findings)
    assert found["images.unreachable"].message.startswith("the registry registry.example does not answer within")


async def test_a_run_that_changes_nothing_asks_no_registry(world: World) -> None:
    world.registries = istio()
    await world.install(REQUEST)
    world.registries.asked.clear()
    await world.install(REQUEST)
    assert world.registries.asked == []


async def test_an_upgrade_of_several_steps_looks_for_the_images_of_all_before_the_first(
    cluster: FakeCluster, heard: Heard
) -> None:
    world = Journeys(cluster, heard)
    cluster.objects.put(crd("gateways.networking.istio.io"))
    await world.install(request_for("1.20.0"))
    world.helm.calls.clear()
    world.registries = istio()
    world.registries.tags = {"1.21.6"}
    with pytest.raises(ImageError, match=r"pilot:1\.22\.8 does not exist"):
        await world.upgrade("1.22.8", UpgradeExtent.ALL, asked=replace(request_for("1.22.8"), check_images=True))
    assert world.wrote() == []
    assert f"{HUB}/proxyv2:1.21.6" in world.registries.asked
