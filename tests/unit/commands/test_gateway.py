"""Where gateways are reached, and what they answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from nksmesh.commands.gateway import UrlOrder, gateway_url, list_gateways
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ConfigError, NotReadyError, RefusedError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.gateways.answers import Answer
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from tests.unit.domain.meshes import HUB, INGRESS, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import deployment, event, pod, replica_set, service
from tests.unit.fakes.runtime import runtime_of


@dataclass
class Answering:
    """Pages that answer as they are told."""

    answer: dict[str, Any] = field(default_factory=lambda: {"status": 200, "title": "Simple Bookstore App"})
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, url: str, *, host: str = "") -> Answer:
        self.asked.append((url, host))
        return Answer(url=url, **self.answer)


def record(network: Network) -> Record:
    return Record(
        settings=Recorded(version="1.20.0", namespace="istio-system", network=network),
        hub=HUB,
        releases=(RecordedRelease(release=INGRESS, chart_digest="d", values_hash="v", helm_revision=1),),
    )


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    manifest = FakeHelm.text([deployment(INGRESS.name), service(INGRESS.name)])
    cluster.storage.put(installed(INGRESS, manifest=manifest))
    cluster.records.kept = {"istio-system": record(Network.PUBLIC)}
    owned = pod(INGRESS.name)
    owned["metadata"]["labels"] = {"istio": "ingressgateway"}
    cluster.live.show(
        deployment(INGRESS.name), replica_set(INGRESS.name), owned, service(INGRESS.name, address="203.0.113.9")
    )
    return cluster


def gateway(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "Gateway",
        "metadata": {"name": "bookinfo-gateway", "namespace": "default"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": number}}]},
    }


async def test_a_list_has_addresses_and_what_nobody_can_connect_to(mesh: FakeCluster) -> None:
    mesh.objects.put(gateway(8080))
    found = await list_gateways(runtime_of(mesh), "")
    (data,) = data_of(found)["gateways"]
    assert (data["name"], data["type"], data["http"], data["https"]) == (
        INGRESS.name,
        "LoadBalancer",
        "203.0.113.9:80",
        "",
    )
    assert [finding.id for finding in found.findings] == ["gateway.closed-port"]
    assert len(found.warnings) == 1


async def test_gateway_objects_that_may_not_be_read_are_none(mesh: FakeCluster) -> None:
    mesh.objects.refuses["Gateway", ""] = RefusedError("no", hint="", status=403, reason="Forbidden")
    assert (await list_gateways(runtime_of(mesh), "")).findings == ()


async def test_the_url_is_the_load_balancers(mesh: FakeCluster) -> None:
    found = await gateway_url(UrlOrder(), runtime_of(mesh), "", Answering())
    assert (found.url, found.address, found.by_node) == ("http://203.0.113.9:80", "203.0.113.9:80", False)
    assert found.variables == {
        "INGRESS_HOST": "203.0.113.9",
        "INGRESS_PORT": "80",
        "GATEWAY_URL": "203.0.113.9:80",
    }
    by_node = await gateway_url(UrlOrder(by_node=True), runtime_of(mesh), "", Answering())
    assert (by_node.address, by_node.by_node) == ("10.0.0.9:30080", True)


async def test_on_a_private_network_a_node_will_do(mesh: FakeCluster) -> None:
    mesh.live.show(service(INGRESS.name))
    with pytest.raises(NotReadyError, match="has no address yet"):
        await gateway_url(UrlOrder(), runtime_of(mesh), "", Answering())
    mesh.records.kept = {"istio-system": record(Network.PRIVATE)}
    found = await gateway_url(UrlOrder(), runtime_of(mesh), "", Answering())
    assert (found.address, found.by_node) == ("10.0.0.9:30080", True)


async def test_an_address_is_waited_for_by_a_watch(mesh: FakeCluster) -> None:
    mesh.live.show(service(INGRESS.name))
    said = asyncio.Event()

    def hear(event: Event) -> None:
        if (event.step, event.kind) == ("address", EventKind.WAITING):
            said.set()

    asking = asyncio.create_task(gateway_url(UrlOrder(wait=60), runtime_of(mesh, listener=hear), "", Answering()))
    await said.wait()
    mesh.live.show(service(INGRESS.name, address="203.0.113.10"))
    assert (await asking).address == "203.0.113.10:80"


async def test_no_address_has_its_event(mesh: FakeCluster) -> None:
    pending = service(INGRESS.name)
    mesh.live.show(pending, event(pending, "Error syncing load balancer: Quota exceeded"))
    with pytest.raises(NotReadyError, match="no address yet: Error syncing load balancer: Quota exceeded") as caught:
        await gateway_url(UrlOrder(), runtime_of(mesh), "", Answering())
    assert caught.value.hint.startswith("Raise the project's quota")


async def test_a_port_or_a_gateway_that_is_not_there_is_named(mesh: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="has no port https"):
        await gateway_url(UrlOrder(port="https"), runtime_of(mesh), "", Answering())
    with pytest.raises(ConfigError, match="there is no gateway 'edge'"):
        await gateway_url(UrlOrder(gateway="edge"), runtime_of(mesh), "", Answering())


async def test_a_page_is_asked_for(mesh: FakeCluster) -> None:
    pages = Answering()
    found = await gateway_url(UrlOrder(check="/productpage", host="shop.example.com"), runtime_of(mesh), "", pages)
    assert pages.asked == [("http://203.0.113.9:80/productpage", "shop.example.com")]
    assert (found.exit_code, found.findings) == (0, ())
    assert found.answer is not None
    assert found.answer.title == "Simple Bookstore App"


async def test_a_refused_connection_is_explained_by_the_gateway_objects(mesh: FakeCluster) -> None:
    mesh.objects.put(gateway(8080))
    pages = Answering(answer={"failure": "Connection refused"})
    found = await gateway_url(UrlOrder(check="productpage"), runtime_of(mesh), "", pages)
    assert pages.asked == [("http://203.0.113.9:80/productpage", "")]
    assert [finding.id for finding in found.findings] == [
        "gateway.unreachable",
        "gateway.no-listener",
        "gateway.closed-port",
    ]
    assert (found.exit_code, len(found.warnings)) == (NotReadyError.exit_code, 3)
