"""A forward to a Service: which pod each connection goes to, whatever becomes of the pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nksmesh.commands.dashboard import DashboardClosed, DashboardOrder, forward_dashboard
from nksmesh.domain.common.errors import ClusterError, ConfigError, MeshError, NotReadyError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.engine.forwarding import Forwarding
from nksmesh.engine.ports.forwarding import Connect
from tests.unit.fakes.cluster import FakeCluster

SYSTEM = "istio-system"
SERVICE = ObjectRef("v1", "Service", "kiali", SYSTEM)
GONE = ClusterError("port 20001 of pod istio-system/kiali-1 does not answer", hint="Look.", detail="not found\nmore")


def service(**spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "kiali"}, "ports": [{"name": "http", "port": 20001}], **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kiali", "namespace": SYSTEM},
        "spec": spec,
    }


def pod(name: str, *, ready: bool = True) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SYSTEM, "labels": {"app": "kiali"}},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def ref(name: str) -> ObjectRef:
    return ObjectRef("v1", "Pod", name, SYSTEM)


class Heard:
    """What was told, by kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: EventKind) -> list[str]:
        return [event.message for event in self.events if event.kind is kind]


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.live.show(service(), pod("kiali-1"))
    return cluster


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def begun(cluster: FakeCluster, heard: Heard, port: str = "") -> Forwarding:
    forwarding = Forwarding(cluster, SERVICE, port, heard)
    await forwarding.begin()
    return forwarding


async def answer(forwarding: Forwarding) -> bytes:
    async with forwarding.connect() as connection:
        return b"".join([data async for data in connection])


async def test_each_connection_goes_to_the_pod_that_is_ready_now(cluster: FakeCluster, heard: Heard) -> None:
    forwarding = await begun(cluster, heard)
    assert await answer(forwarding) == b"kiali-1"
    cluster.live.show(pod("kiali-2"))
    assert await answer(forwarding) == b"kiali-1"
    cluster.live.remove(ref("kiali-1"))
    assert await answer(forwarding) == b"kiali-2"
    assert forwarding.connections == 3


async def test_a_connection_waits_for_a_ready_pod(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(pod("kiali-1", ready=False))
    forwarding = await begun(cluster, heard)
    waiting = asyncio.create_task(answer(forwarding))
    await asyncio.sleep(0)
    cluster.live.show(pod("kiali-2"))
    assert await waiting == b"kiali-2"


async def test_a_connection_does_not_wait_forever(cluster: FakeCluster, heard: Heard) -> None:
    forwarding = await begun(cluster, heard)
    cluster.live.remove(ref("kiali-1"))
    with pytest.raises(NotReadyError, match="became ready within 30 s"):
        await answer(forwarding)
    assert heard.of(EventKind.WARNING) == [
        "a connection failed: no pod of Service istio-system/kiali became ready within 30 s"
    ]


async def test_a_pod_that_goes_while_a_connection_is_opened_is_no_failure(cluster: FakeCluster, heard: Heard) -> None:
    cluster.pods.unreachable["kiali-1"] = GONE
    forwarding = await begun(cluster, heard)
    opening = asyncio.create_task(answer(forwarding))
    await asyncio.sleep(0)
    cluster.live.show(pod("kiali-2"))
    cluster.live.remove(ref("kiali-1"))
    assert await opening == b"kiali-2"
    assert not heard.of(EventKind.WARNING)


async def test_a_pod_that_stays_and_does_not_answer_is_told(cluster: FakeCluster, heard: Heard) -> None:
    cluster.pods.unreachable["kiali-1"] = GONE
    forwarding = await begun(cluster, heard)
    with pytest.raises(ClusterError):
        await answer(forwarding)
    assert heard.of(EventKind.WARNING) == [f"a connection failed: {GONE.message} (not found)"]
    assert forwarding.connections == 0


async def test_pods_of_another_selector_are_followed_when_the_service_selects_them(
    cluster: FakeCluster, heard: Heard
) -> None:
    forwarding = await begun(cluster, heard)
    watching = asyncio.create_task(forwarding.watch("URL"))
    await asyncio.sleep(0)
    other = {**pod("kiali-new")}
    other["metadata"] = {**other["metadata"], "labels": {"app": "kiali-server"}}
    cluster.live.show(service(selector={"app": "kiali-server"}), other)
    await asyncio.sleep(0.01)
    watching.cancel()
    assert cluster.live.asked("follow") == [f"Service {SYSTEM}", f"Pod {SYSTEM}", f"Pod {SYSTEM}"]
    assert heard.of(EventKind.NOTE) == ["URL leads to pod kiali-1", "URL leads to pod kiali-new"]


@pytest.mark.parametrize(
    ("spec", "port", "words"),
    [
        ({"selector": None}, "", "Service istio-system/kiali selects no pods"),
        ({"ports": []}, "", "Service kiali has no TCP port"),
        ({}, "81", "Service kiali has no TCP port '81'"),
    ],
)
async def test_a_service_that_cannot_be_forwarded_to_is_refused(
    cluster: FakeCluster, heard: Heard, spec: dict[str, Any], port: str, words: str
) -> None:
    cluster.live.show(service(**spec))
    with pytest.raises(ConfigError, match=words):
        await begun(cluster, heard, port)


async def test_a_service_that_is_not_there_is_named(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.remove(SERVICE)
    with pytest.raises(ConfigError, match="there is no Service istio-system/kiali"):
        await begun(cluster, heard)


class Ports:
    """A port of this machine that nobody connects to; ``asked`` is where it was."""

    def __init__(self, during: Callable[[Connect], Any]) -> None:
        self.asked: tuple[str, int] | None = None
        self._during = during

    def listening(self, address: str, port: int, connect: Connect) -> Ports:
        self.asked = (address, port)
        self._connect = connect
        return self

    async def __aenter__(self) -> int:
        asyncio.get_running_loop().call_soon(asyncio.create_task, self._during(self._connect))
        return self.asked[1] or 45_678 if self.asked else 0

    async def __aexit__(self, *_: object) -> None:
        return


async def closed(cluster: FakeCluster, heard: Heard, order: DashboardOrder) -> tuple[DashboardClosed, Ports, list[str]]:
    """Run the command until its task is cancelled, as Ctrl-C does, after one connection."""
    shown: list[str] = []

    async def show(url: str) -> None:
        shown.append(url)

    async def once(connect: Connect) -> None:
        async with connect():
            pass
        task.cancel()

    ports = Ports(once)
    task = asyncio.create_task(forward_dashboard(order, cluster, ports, show, listener=heard))
    result = await task
    assert not task.cancelled()
    return result, ports, shown


async def test_ctrl_c_ends_a_dashboard_well_and_it_says_what_it_led_where(cluster: FakeCluster, heard: Heard) -> None:
    result, ports, shown = await closed(cluster, heard, DashboardOrder(name="kiali", namespace=SYSTEM))
    assert ports.asked == ("127.0.0.1", 20001)
    assert shown == ["http://127.0.0.1:20001/kiali"]
    assert (result.url, result.connections, result.pods) == ("http://127.0.0.1:20001/kiali", 1, ("kiali-1",))
    assert heard.of(EventKind.NOTE) == ["http://127.0.0.1:20001/kiali leads to pod kiali-1"]
    assert not result.findings


@pytest.mark.parametrize(
    ("address", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080/kiali"), ("10.0.0.5", "http://10.0.0.5:8080/kiali")],  # noqa: S104 - no one listens
)
async def test_who_listens_beyond_loopback_is_warned(
    cluster: FakeCluster, heard: Heard, address: str, url: str
) -> None:
    order = DashboardOrder(name="kiali", namespace=SYSTEM, address=address, port=8080)
    result, _, shown = await closed(cluster, heard, order)
    assert shown == [url]
    assert [finding.id for finding in result.findings] == ["dashboard.open-port"]
    assert [words for words in heard.of(EventKind.WARNING) if f"at {address} can use Service" in words]


async def test_a_port_that_only_root_may_take_is_not_chosen(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(service(ports=[{"port": 80, "targetPort": 16686}]))
    assert (await closed(cluster, heard, DashboardOrder(name="kiali", namespace=SYSTEM)))[1].asked == (
        "127.0.0.1",
        16686,
    )
    cluster.live.show(service(ports=[{"port": 80}]))
    assert (await closed(cluster, heard, DashboardOrder(name="kiali", namespace=SYSTEM)))[1].asked == ("127.0.0.1", 0)


async def test_a_view_that_is_lost_for_good_ends_the_dashboard(cluster: FakeCluster, heard: Heard) -> None:
    async def refuse(_since: int, _timeout: float | None = None) -> None:
        raise ClusterError("the API server does not accept the credentials", hint="Log in.")

    cluster.live.changed = refuse  # type: ignore[method-assign, assignment]  # as if the token had ended

    async def nothing(_connect: Connect) -> None:
        return

    with pytest.raises(MeshError, match="does not accept the credentials"):
        await forward_dashboard(
            DashboardOrder(name="kiali", namespace=SYSTEM), cluster, Ports(nothing), None, listener=heard
        )
