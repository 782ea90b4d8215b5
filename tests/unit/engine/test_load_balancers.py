"""Load balancers against a cluster: Services that change, that go, and those of removed releases."""

from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import compose
from nksmesh.engine.load_balancers import survey_load_balancers
from tests.unit.domain.meshes import EDGE, INGRESS, chart, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import service
from tests.unit.fakes.world import REQUEST, World

NAME = "loadbalancer.nhncloud/loadbalancer-name"
TLS_KEY = "TCP-443.loadbalancer.nhncloud/listener-terminated-https-key"


def annotated(manifest: Manifest, **annotations: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def change(*planned: Manifest, before: tuple[Manifest, ...] = (), reasons: tuple[str, ...] = ("x",)) -> ReleaseChange:
    return ReleaseChange(
        release=INGRESS,
        chart=chart("gateway"),
        layers=(),
        composed=compose(()),
        manifests=planned,
        reasons=reasons,
        installed=installed(INGRESS, manifest=FakeHelm.text(before)),
    )


@pytest.fixture
def there(cluster: FakeCluster) -> Manifest:
    live = service(INGRESS.name, address="203.0.113.7")
    cluster.objects.put(live)
    cluster.live.show(live)
    return live


async def said(cluster: FakeCluster, *changes: ReleaseChange) -> list[str]:
    return [finding.id for finding in await survey_load_balancers(changes, {}, cluster, FakeHelm())]


@pytest.mark.usefixtures("there")
async def test_what_changes_on_a_live_service_is_judged(cluster: FakeCluster) -> None:
    planned = annotated(service(INGRESS.name), **{NAME: "edge"})
    assert await said(cluster, change(planned)) == ["balancer.fixed-setting"]
    assert await said(cluster, change(planned, reasons=())) == []
    assert await said(cluster, change(service(INGRESS.name))) == []


async def test_a_service_that_is_not_there_yet_is_not_judged(cluster: FakeCluster) -> None:
    assert await said(cluster, change(annotated(service(INGRESS.name), **{NAME: "edge"}))) == []
    assert cluster.objects.asked("get") == []


async def test_a_service_that_the_chart_no_longer_renders_loses_its_address(
    cluster: FakeCluster, there: Manifest
) -> None:
    (finding,) = await survey_load_balancers([change(before=(there,))], {}, cluster, FakeHelm())
    assert finding.id == "balancer.released-address"
    assert "release istio-ingressgateway no longer has the Service: the public address 203.0.113.7" in finding.message


async def test_a_release_that_is_removed_says_what_becomes_of_its_address(cluster: FakeCluster) -> None:
    live = annotated(
        service(EDGE.name, namespace="edge", address="203.0.113.8"),
        **{"loadbalancer.openstack.org/keep-floatingip": "true"},
    )
    cluster.objects.put(live)
    going = {EDGE: installed(EDGE, manifest=FakeHelm.text([live]))}
    (finding,) = await survey_load_balancers([], going, cluster, FakeHelm())
    assert finding.message == (
        "release edge is removed: the public address 203.0.113.8 of Service edge/edge stays in the project"
    )
    cluster.objects.stored.clear()
    assert await survey_load_balancers([], going, cluster, FakeHelm()) == ()


async def test_a_private_key_in_the_render_stops_before_the_first_write(cluster: FakeCluster, heard: Heard) -> None:
    world = World(cluster, heard)
    world.helm.renders[INGRESS.name] = [annotated(service(INGRESS.name), **{TLS_KEY: "c2VjcmV0"})]
    with pytest.raises(ConfigError) as raised:
        await world.install(REQUEST)
    assert "private key in an annotation" in raised.value.message
    assert "c2VjcmV0" not in f"{raised.value} {raised.value.detail} {raised.value.hint}"
    assert world.wrote() == []
