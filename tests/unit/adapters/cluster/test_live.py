"""The live view never goes back in time: a write's answer and a watch's events may come in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.live import LiveView
from nksmesh.adapters.cluster.objects import Objects, Resource
from nksmesh.domain.common.errors import ClusterError, RefusedError, UnreachableError
from nksmesh.domain.kube.objects import Query

CRDS = Query("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.fixture
def view() -> LiveView:
    """A view that follows CRDs, and is told everything by the test."""
    made = LiveView(cast("Api", None), cast("Objects", None))
    made._state[CRDS] = {}
    return made


def crd(version: str, **status: object) -> dict[str, Any]:
    return {"metadata": {"name": "gateways.networking.istio.io", "resourceVersion": version}, "status": status}


def seen(view: LiveView) -> str:
    found = view.get(CRDS.kind, "gateways.networking.istio.io")
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def test_a_writes_answer_does_not_hide_what_came_of_it_since(view: LiveView) -> None:
    view._take(CRDS, {"type": "ADDED", "object": crd("9")})
    view._take(CRDS, {"type": "MODIFIED", "object": crd("10", conditions=["Established"])})
    view.put(CRDS, crd("9"))
    assert seen(view) == "10"


def test_an_event_from_before_a_write_does_not_hide_it(view: LiveView) -> None:
    view.put(CRDS, crd("12"))
    view._take(CRDS, {"type": "MODIFIED", "object": crd("11")})
    assert seen(view) == "12"
    view._take(CRDS, {"type": "MODIFIED", "object": crd("13")})
    assert seen(view) == "13"


def test_an_object_made_anew_is_newer_than_the_one_that_went(view: LiveView) -> None:
    view._take(CRDS, {"type": "ADDED", "object": crd("20")})
    view._take(CRDS, {"type": "DELETED", "object": crd("21")})
    assert view.get(CRDS.kind, "gateways.networking.istio.io") is None
    view._take(CRDS, {"type": "ADDED", "object": crd("22")})
    assert seen(view) == "22"


class Server:
    """An API server whose watches and lists do what the test says."""

    def __init__(self) -> None:
        self.watches: list[float] = []
        self.lists = 0
        self.watched: list[Exception | None] = []
        self.listed: list[Exception] = []
        self.always: Exception | None = None

    async def request(self, *_: object, **__: object) -> dict[str, Any]:
        self.lists += 1
        failure = self.listed.pop(0) if self.lists > 1 and self.listed else None
        if failure or (self.always and self.lists > 1):
            raise failure or cast("Exception", self.always)
        return {"metadata": {"resourceVersion": str(self.lists)}, "items": []}

    async def stream(self, _: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        self.watches.append(asyncio.get_running_loop().time())
        if not self.watched:
            await asyncio.sleep(3600)
        end = self.watched.pop(0)
        if end is not None:
            raise end
        nothing: list[dict[str, Any]] = []
        for event in nothing:
            yield event

    async def resource(self, *_: object) -> Resource:
        return Resource(CRDS.api_version, "crds", namespaced=False, listable=True)


def followed(server: Server) -> LiveView:
    return LiveView(cast("Api", server), cast("Objects", server))


def refused(status: int) -> RefusedError:
    return RefusedError("not accepted", hint="sign in", status=status, reason="")


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for is the absence of an event
            await asyncio.sleep(0.01)


async def test_a_watch_that_the_server_ends_at_once_is_not_opened_again_without_a_pause() -> None:
    server = Server()
    server.watched = [None] * 4
    async with followed(server) as view:
        await view.follow([CRDS])
        await until(lambda: len(server.watches) == 4)
    pauses = [after - before for before, after in zip(server.watches, server.watches[1:], strict=False)]
    assert len(pauses) == 3
    assert all(pause > least for pause, least in zip(pauses, (0.09, 0.19, 0.39), strict=True)), pauses
    assert server.lists == 1


async def test_a_silent_watch_is_listed_anew_and_is_no_lost_server() -> None:
    server = Server()
    server.watched = [TimeoutError("nothing heard")]
    async with followed(server) as view:
        await view.follow([CRDS])
        await until(lambda: len(server.watches) == 2)
        assert server.lists == 2
        assert not view.lost


async def test_a_silent_watch_whose_server_is_gone_is_a_lost_one() -> None:
    server = Server()
    server.watched = [TimeoutError("nothing heard")]
    server.listed = [UnreachableError("gone", hint="look")]
    async with followed(server) as view:
        await view.follow([CRDS])
        await until(lambda: view.lost)
        await until(lambda: not view.lost)
        await until(lambda: len(server.watches) == 2)


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_stay_refused_end_every_wait(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("nksmesh.adapters.cluster.live._REFUSED_SECONDS", 0.2)
    server = Server()
    server.watched, server.always = [refused(status)], refused(status)
    async with followed(server) as view:
        await view.follow([CRDS])
        with pytest.raises(RefusedError, match="not accepted"):
            await view.changed(view.version, 10)
        with pytest.raises(RefusedError, match="not accepted"):
            await view.changed(view.version - 1)


async def test_credentials_that_are_refused_for_a_moment_end_nothing() -> None:
    server = Server()
    server.watched, server.listed = [refused(401)], [refused(403)]
    async with followed(server) as view:
        await view.follow([CRDS])
        await until(lambda: len(server.watches) == 2)
        await view.changed(view.version, 0.01)


async def test_a_server_that_is_only_busy_is_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.cluster.live._REFUSED_SECONDS", 0.0)
    server = Server()
    server.watched, server.listed = [refused(503)], [refused(503), refused(429)]
    async with followed(server) as view:
        await view.follow([CRDS])
        await until(lambda: len(server.watches) == 2)


async def test_a_renewal_of_credentials_that_fails_ends_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.cluster.live._REFUSED_SECONDS", 0.0)
    server = Server()
    server.watched = [ClusterError("the plugin fails", hint="sign in")]
    server.always = ClusterError("the plugin fails", hint="sign in")
    async with followed(server) as view:
        await view.follow([CRDS])
        with pytest.raises(ClusterError, match="the plugin fails"):
            await view.changed(view.version, 10)


async def test_a_watch_that_dies_is_noticed() -> None:
    server = Server()
    server.watched = [ZeroDivisionError()]
    async with followed(server) as view:
        await view.follow([CRDS])
        with pytest.raises(ZeroDivisionError):
            await view.changed(view.version, 10)
