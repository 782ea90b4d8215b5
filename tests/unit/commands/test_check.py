"""``nksmesh check`` over fakes: a part that cannot be looked at is a result, and ends nothing."""

from __future__ import annotations

import pytest

from nksmesh.commands.check import CheckResult, Choice, check
from nksmesh.domain.checks.rule import Checked, Status
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest
from tests.unit.domain.meshes import HUB, chart
from tests.unit.fakes.cluster import FakeCharts, FakeCluster, Heard
from tests.unit.fakes.meshes import NAMESPACE, crd, deployment
from tests.unit.fakes.registries import Table, istio
from tests.unit.fakes.world import INJECTOR, REQUEST, World

FORBIDDEN = RefusedError("pods is forbidden", hint="Ask for it.", status=403, reason="Forbidden")
CORRUPT: Manifest = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "registry", "namespace": NAMESPACE},
    "type": "kubernetes.io/dockerconfigjson",
    "data": {".dockerconfigjson": "!!!"},
}


@pytest.fixture
def world(cluster: FakeCluster, heard: Heard) -> World:
    world = World(cluster, heard)
    world.helm.renders["istiod"] = [deployment("istiod", image=f"{HUB}/pilot:1.20.0"), INJECTOR]
    return world


async def looked(world: World, choice: Choice | None = None, *, wait: float = 0.0) -> CheckResult:
    return await check(REQUEST, world.runtime, choice or Choice(), wait=wait)


def of(result: CheckResult, name: str) -> list[Checked]:
    return [found for group in result.groups for found in group.results if found.id == name]


async def test_a_registry_out_of_reach_is_one_warning_as_before_an_install(world: World) -> None:
    world.registries = Table()
    world.registries.down = True
    (found,) = of(await looked(world), "images.unreachable")
    assert found.status is Status.WARNING
    assert found.message == "the registry registry.example cannot be reached; its images were not looked for"
    assert found.hint == "Check that this machine can reach registry.example, or pass --skip registry."


@pytest.mark.parametrize("choice", [Choice(skip=("registry",)), Choice(only=("network", "cluster.capacity"))])
async def test_a_registry_that_is_left_out_is_not_asked(world: World, choice: Choice) -> None:
    world.registries = istio()
    await looked(world, choice)
    assert (world.registries.opened, world.registries.asked) == ([], [])
    assert of(await looked(world, Choice(only=("registry",))), "registry.images")
    assert world.registries.asked


async def test_a_pull_secret_that_is_damaged_is_the_result_about_the_images(world: World) -> None:
    world.registries = istio()
    pulling = deployment("istiod", image=f"{HUB}/pilot:1.20.0")
    pulling["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": "registry"}]
    world.helm.renders["istiod"] = [pulling, INJECTOR]
    world.cluster.objects.put(CORRUPT)
    result = await looked(world)
    (found,) = of(result, "registry.images")
    assert found.status is Status.FAILURE
    assert f"{NAMESPACE}/registry" in found.message
    assert of(result, "mesh.plan")


async def test_crds_that_may_not_be_listed_are_a_check_that_was_not_made(world: World) -> None:
    base = chart("base", crds=[crd("gateways.istio.io")])
    world.charts = FakeCharts(base, chart("istiod"), chart("gateway"))
    world.cluster.objects.refuses["CustomResourceDefinition", ""] = FORBIDDEN
    (found,) = of(await looked(world), "mesh.left-crds")
    assert (found.status, found.message) == (Status.WARNING, "not checked: pods is forbidden")


async def test_pods_that_may_not_be_listed_are_the_result_about_the_mesh(world: World) -> None:
    await world.install()
    (found,) = of(await looked(world), "after-install.ready")
    assert found.message.startswith("the mesh is not ready: istio-base: ")
    world.cluster.objects.refuses["Pod", ""] = FORBIDDEN
    result = await looked(world)
    (found,) = of(result, "after-install.ready")
    assert (found.status, found.message, found.hint) == (Status.FAILURE, "pods is forbidden", "Ask for it.")
    assert of(result, "cluster.capacity")
    assert of(await looked(world, Choice(before=True)), "after-install.ready") == []


async def test_a_wait_says_how_many_checks_have_failed(world: World) -> None:
    world.cluster.objects.resources.clear()
    await looked(world, Choice(only=("cluster.third-party-jwt",)), wait=1)
    waits = [event.message for event in world.heard.events if event.step == "check"]
    assert waits[0] == "1 failed check to pass"


async def test_istio_cni_in_the_meshs_namespace_lets_injected_pods_start(world: World) -> None:
    labels = {"istio-injection": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "shop", "labels": labels}
    world.cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert [found.status for found in of(await looked(world), "namespaces.pod-security")] == [Status.FAILURE]
    cni = {"name": "istio-cni-node", "namespace": NAMESPACE}
    world.cluster.objects.put({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": cni})
    assert [found.status for found in of(await looked(world), "namespaces.pod-security")] == [Status.OK]
