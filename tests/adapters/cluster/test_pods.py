"""Into pods over WebSockets, against a small server that speaks the subprotocol of Kubernetes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from nksmesh.adapters.cluster import pods as module
from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.connections import configuration
from nksmesh.adapters.cluster.opening import connected
from nksmesh.adapters.cluster.pods import Pods
from nksmesh.domain.common.errors import ClusterError, RefusedError

Script = Callable[["web.WebSocketResponse", "web.Request"], Awaitable[None]]
PORT = (15000).to_bytes(2, "little")
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def pods(script: Script, *, status: int = 101) -> AsyncIterator[Pods]:
    """An API server whose pods do what a script says."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if status != 101:
            return web.json_response({"message": "pods is forbidden"}, status=status)
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        await script(socket, request)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    client = connected(configuration.Configuration(host=f"http://127.0.0.1:{port}"))
    try:
        async with Api(client, context="test") as api:
            yield Pods(api)
    finally:
        await runner.cleanup()


def forwards(*answers: bytes, error: bytes = b"") -> Script:
    """Answer a port-forward: what the port sends, or why there is none."""

    async def script(socket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.path == "/api/v1/namespaces/default/pods/page/portforward"
        assert request.query["ports"] == "15000"
        await socket.send_bytes(b"\0" + PORT)
        await socket.send_bytes(b"\1" + PORT)
        asked = await socket.receive_bytes()
        assert asked.startswith(b"\0GET /clusters?format=json HTTP/1.1\r\nHost: localhost:15000\r\n")
        if error:
            await socket.send_bytes(b"\1" + error)
            await socket.receive()  # until the other side goes
        for answer in answers:
            await socket.send_bytes(b"\0" + answer)

    return script


async def fetched(script: Script) -> str:
    async with pods(script) as inside:
        return await got(inside, "/clusters?format=json")


async def got(inside: Pods, *paths: str) -> str:
    """Ask for paths over one connection, and return the last answer."""
    async with inside.http("default", "page", 15000) as get:
        return [await get(path) for path in paths][-1]


async def test_a_port_of_a_pod_is_asked_whatever_pieces_its_answer_comes_in() -> None:
    whole = OK + b"Content-Length: 5\r\n\r\nhello"
    assert await fetched(forwards(whole)) == "hello"
    assert await fetched(forwards(*(bytes([byte]) for byte in whole))) == "hello"
    chunks = (OK + b"transfer-encoding: chunked\r\n\r\n", b"5\r\nhel", b"lo\r\n3\r\n, y\r\n", b"0\r\n\r\n")
    assert await fetched(forwards(*chunks)) == "hello, y"
    assert await fetched(forwards(OK + b"connection: close\r\n\r\nhello")) == "hello"


async def test_one_connection_is_asked_again_and_again() -> None:
    opened = []

    async def script(socket: web.WebSocketResponse, request: web.Request) -> None:
        opened.append(request.path)
        await socket.send_bytes(b"\0" + PORT)
        await socket.send_bytes(b"\1" + PORT)
        for answer in (b"first", b"second"):
            asked = await socket.receive_bytes()
            assert b"onnection: close" not in asked
            await socket.send_bytes(b"\0" + OK + b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer))

    async with pods(script) as inside:
        assert await got(inside, "/first", "/second") == "second"
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (forwards(error=b"dial tcp4 127.0.0.1:15000: connect: connection refused"), "connection refused"),
        (forwards(), "answered nothing"),
        (forwards(b"SSH-2.0-OpenSSH\r\n\r\n"), "SSH"),
        (forwards(OK + b"Content-Length: 50\r\n\r\nhello"), "IncompleteRead"),
        (forwards(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"), "HTTP status 404: no"),
    ],
)
async def test_a_port_that_does_not_answer_says_why(script: Script, words: str) -> None:
    with pytest.raises(ClusterError, match="port 15000 of pod default/page does not answer") as silent:
        await fetched(script)
    assert words in silent.value.detail or words == "answered nothing"


async def test_a_port_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.2)

    async def hang(socket: web.WebSocketResponse, request: web.Request) -> None:
        del request
        while not socket.closed:
            await socket.receive()

    async with pods(hang) as inside:
        with pytest.raises(ClusterError) as silent:
            await got(inside, "/")
    assert silent.value.detail == "no answer within 0.2 s"


async def test_who_may_not_forward_ports_learns_it() -> None:
    async with pods(forwards(), status=403) as inside:
        with pytest.raises(RefusedError, match=r"context test is not allowed to read .*/portforward") as refused:
            await got(inside, "/")
    assert refused.value.status == 403


def runs(*messages: bytes, command: Sequence[str] = ("cat", "/proc/net/tcp")) -> Script:
    async def script(socket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.path == "/api/v1/namespaces/default/pods/page/exec"
        assert request.query.getall("command") == list(command)
        assert (request.query["container"], request.query["stdout"]) == ("istio-proxy", "true")
        for message in messages:
            await socket.send_bytes(message)

    return script


async def ran(script: Script) -> str:
    async with pods(script) as inside:
        return await inside.run("default", "page", "istio-proxy", ("cat", "/proc/net/tcp"))


async def test_a_command_returns_what_it_wrote_and_says_why_it_failed() -> None:
    success = b"\3" + json.dumps({"status": "Success"}).encode()
    failure = b"\3" + json.dumps({"status": "Failure", "message": "command terminated with exit code 1"}).encode()
    assert await ran(runs(b"\1", b"\1a\n", b"\1b", success)) == "a\nb"
    for messages, words in (
        ((b"\2cat: no such file\n", failure), "cat: no such file"),
        ((failure,), "command terminated with exit code 1"),
        ((b"\1half",), "it was cut off"),
    ):
        with pytest.raises(ClusterError, match="cat failed in container istio-proxy of pod default/page") as failed:
            await ran(runs(*messages))
        assert failed.value.detail == words
