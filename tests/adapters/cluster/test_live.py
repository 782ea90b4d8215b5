from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.live import LiveView
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import ObjectRef, Query
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.cluster

NAMESPACE = "default"
MAPS = Query("v1", "ConfigMap", NAMESPACE, labels="of=live")


async def put(objects: Objects, name: str, **data: str) -> dict[str, object]:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"of": "live"}},
        "data": data,
    }
    return await objects.apply(manifest, ObjectRef("v1", "ConfigMap", name, NAMESPACE))


async def drop(objects: Objects, name: str) -> None:
    await objects.delete(ObjectRef("v1", "ConfigMap", name, NAMESPACE))


async def until(live: LiveView, holds: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while True:
            version = live.version
            if holds():
                return
            await live.changed(version)


@pytest.fixture
async def live(api: Api, objects: Objects) -> AsyncIterator[LiveView]:
    """A view that ends with the test, over a cluster without maps of its own."""
    for one in await objects.list("v1", "ConfigMap", NAMESPACE, labels=MAPS.labels):
        await drop(objects, one["metadata"]["name"])
    async with LiveView(api, objects) as view:
        yield view


async def test_a_view_begins_with_what_is_there_and_follows_it(live: LiveView, objects: Objects) -> None:
    await put(objects, "before", a="1")
    await live.follow([MAPS, MAPS])
    assert [one["metadata"]["name"] for one in live.find("ConfigMap")] == ["before"]
    await put(objects, "after", a="1")
    await until(live, lambda: live.get("ConfigMap", "after", NAMESPACE))
    await put(objects, "after", a="2")
    await until(live, lambda: (live.get("ConfigMap", "after", NAMESPACE) or {})["data"] == {"a": "2"})
    await drop(objects, "before")
    await until(live, lambda: live.get("ConfigMap", "before", NAMESPACE) is None)
    assert [one["kind"] for one in live.find("ConfigMap", NAMESPACE)] == ["ConfigMap"]
    assert live.find("ConfigMap", "elsewhere") == []
    assert live.get("Secret", "after", NAMESPACE) is None
    assert not live.lost


async def test_what_does_not_match_the_labels_is_not_seen(live: LiveView, objects: Objects) -> None:
    await live.follow([MAPS])
    await objects.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unlabelled"}},
        ObjectRef("v1", "ConfigMap", "unlabelled", NAMESPACE),
    )
    await put(objects, "labelled")
    await until(live, lambda: live.get("ConfigMap", "labelled", NAMESPACE))
    assert live.get("ConfigMap", "unlabelled", NAMESPACE) is None


async def test_following_from_now_leaves_out_what_was_there(live: LiveView, objects: Objects) -> None:
    await put(objects, "old")
    await live.follow_from_now(MAPS)
    await live.follow_from_now(MAPS)
    await put(objects, "new")
    await until(live, lambda: live.get("ConfigMap", "new", NAMESPACE))
    assert live.get("ConfigMap", "old", NAMESPACE) is None


async def test_what_a_write_returned_is_seen_at_once_and_never_hides_what_is_newer(
    live: LiveView, objects: Objects
) -> None:
    await live.follow([MAPS])
    older = await put(objects, "raced", a="1")
    newer = await put(objects, "raced", a="2")
    live.put(MAPS, newer)
    assert (live.get("ConfigMap", "raced", NAMESPACE) or {})["data"] == {"a": "2"}
    live.put(MAPS, older)
    assert (live.get("ConfigMap", "raced", NAMESPACE) or {})["data"] == {"a": "2"}


async def test_what_is_followed_no_longer_is_forgotten(live: LiveView, objects: Objects) -> None:
    await put(objects, "kept", a="1")
    services = Query("v1", "Service", NAMESPACE)
    assert await live.follow([MAPS, services]) == (MAPS, services)
    assert await live.follow([MAPS]) == ()
    await live.unfollow([MAPS])
    assert live.find("ConfigMap") == []
    assert live.find("Service")
    await put(objects, "unseen", a="1")
    assert await live.follow([MAPS]) == (MAPS,)
    assert {one["metadata"]["name"] for one in live.find("ConfigMap")} == {"kept", "unseen"}


async def test_an_object_as_large_as_they_come_passes_through_a_watch(live: LiveView, objects: Objects) -> None:
    await live.follow([MAPS])
    await put(objects, "large", a="x" * 900_000)
    await until(live, lambda: live.get("ConfigMap", "large", NAMESPACE))
    await drop(objects, "large")


async def test_waiting_for_a_change_ends_with_its_time(live: LiveView) -> None:
    began = asyncio.get_running_loop().time()
    await live.changed(live.version, 0.1)
    assert 0.09 < asyncio.get_running_loop().time() - began < 5
    await live.changed(live.version - 1)  # it has changed already


async def test_a_kind_that_is_not_served_is_an_empty_view(live: LiveView) -> None:
    await live.follow([Query("nowhere.example/v1", "Thing")])
    assert live.find("Thing") == []


async def test_a_query_that_is_refused_is_said_at_once(live: LiveView) -> None:
    with pytest.raises(RefusedError) as caught:
        await live.follow([Query("v1", "ConfigMap", NAMESPACE, fields="data.a=1")])
    assert caught.value.status == 400


async def test_a_version_that_has_expired_is_listed_anew(live: LiveView, objects: Objects) -> None:
    """A watch from a version that etcd no longer has is answered with 410 Gone."""
    await put(objects, "expired", a="1")
    live._state[MAPS] = {}
    live._tasks[MAPS] = asyncio.create_task(live._keep_current(MAPS, "1"))
    await until(live, lambda: live.get("ConfigMap", "expired", NAMESPACE))
    await put(objects, "expired", a="2")
    await until(live, lambda: (live.get("ConfigMap", "expired", NAMESPACE) or {})["data"] == {"a": "2"})


async def test_an_api_server_that_comes_back_is_followed_again_from_what_is_then(sandbox: Sandbox) -> None:
    async with await Api.connect(kubeconfig=sandbox.kubeconfig) as api:
        objects = Objects(api)
        async with LiveView(api, objects) as live:
            await put(objects, "kept")
            await live.follow([MAPS, Query("v1", "Service", NAMESPACE)])
            await sandbox.stop_part(Part.API_SERVER)
            await until(live, lambda: live.lost)
            assert live.get("ConfigMap", "kept", NAMESPACE)  # the last that is known stays
            await sandbox.start_part(Part.API_SERVER)
            await drop(objects, "kept")
            await put(objects, "made-meanwhile")
            await until(live, lambda: not live.lost)
            await until(live, lambda: live.get("ConfigMap", "made-meanwhile", NAMESPACE))
            await until(live, lambda: live.get("ConfigMap", "kept", NAMESPACE) is None)
