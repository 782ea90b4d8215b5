"""The images of a mesh, over fakes: the render's, the injector's, and those of samples and add-ons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.images import ListedImage, Source, check, list_images
from nksmesh.domain.common.errors import ChartError
from tests.unit.domain.meshes import HUB, INGRESS, ISTIOD, chart
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import PROXY, deployment
from tests.unit.fakes.registries import istio
from tests.unit.fakes.world import INJECTOR, REQUEST, World

KIALI = "quay.io/kiali/kiali:v1.76"
PILOT = f"{HUB}/pilot:1.20.0"


@pytest.fixture
def world(cluster: FakeCluster, heard: Heard) -> World:
    world = World(cluster, heard)
    world.helm.renders[ISTIOD.name] = [deployment("istiod", image=PILOT), INJECTOR]
    return world


async def test_pods_images_and_the_injectors_are_listed_once_each(world: World) -> None:
    found = await list_images(REQUEST, world.helm, world.charts, {}, listener=world.heard)
    assert (found.hub, found.version) == (HUB, "1.20.0")
    assert {image.image for image in found.images} == {PILOT, PROXY}
    (proxy,) = (image for image in found.images if image.image == PROXY)
    places = ("values, global.proxy.image", "values, global.proxy_init.image")
    assert proxy.used_by == tuple(f"ConfigMap istio-system/istio-sidecar-injector ({place})" for place in places)
    assert world.cluster.objects.calls == []


async def test_what_stands_beside_the_mesh_is_listed_as_it_is(world: World) -> None:
    kiali = {**deployment("kiali", image=KIALI), "metadata": {"name": "kiali", "namespace": "istio-system"}}
    beside = {Source.SAMPLES: (), Source.ADDONS: (kiali, kiali)}
    found = await list_images(REQUEST, world.helm, world.charts, beside, listener=world.heard)
    (listed,) = (image for image in found.images if image.source is Source.ADDONS)
    (place,) = listed.used_by
    assert listed == ListedImage(image=KIALI, source=Source.ADDONS, used_by=(place,))
    assert place.startswith("Deployment istio-system/kiali (container ")


async def test_every_component_is_listed_where_that_is_asked_for(world: World) -> None:
    world.charts.there |= {name: chart(name) for name in ("cni", "ztunnel")}
    await list_images(REQUEST.with_every_component(), world.helm, world.charts, {}, listener=world.heard)
    rendered = [call.split()[0] for call in world.helm.asked("render")]
    assert sorted(rendered) == sorted(["istio-base", "istiod", "istio-cni", "ztunnel", INGRESS.name])


async def test_an_image_outside_the_hub_is_refused_as_in_a_plan(world: World) -> None:
    world.helm.renders[ISTIOD.name] = [deployment("istiod", image="docker.io/istio/pilot:1.20.0"), INJECTOR]
    with pytest.raises(ChartError, match="not in the hub"):
        await list_images(REQUEST, world.helm, world.charts, {}, listener=world.heard)
    allowed = replace(REQUEST, options=replace(REQUEST.options, allow_images=("docker.io/istio",)))
    found = await list_images(allowed, world.helm, world.charts, {}, listener=world.heard)
    assert "docker.io/istio/pilot:1.20.0" in {image.image for image in found.images}


async def test_images_of_add_ons_are_looked_for_beside_the_meshs(world: World) -> None:
    world.registries = istio(["pilot", "proxyv2", "grafana"])
    beside = [deployment(name, image=f"registry.example/{name}:9") for name in ("grafana", "kiali")]
    found = await check(REQUEST, world.runtime, beside)
    assert [(finding.id, finding.subject) for finding in found.findings] == [
        ("images.missing", "registry.example/kiali:9")
    ]
    assert found.exit_code == 3
    assert {image.image for image in found.images} >= {PILOT, PROXY, "registry.example/grafana:9"}
    await check(REQUEST, world.runtime, beside, image_hub=f"{HUB}/of-others")
    assert f"{HUB}/of-others/grafana:9" in world.registries.asked
