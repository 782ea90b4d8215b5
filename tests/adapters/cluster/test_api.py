from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nksmesh.adapters.cluster.api import METADATA_LIST, Api
from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.adapters.cluster.connections import configuration
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.opening import connected
from nksmesh.domain.common.errors import ClusterError, RefusedError, UnreachableError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.sandbox import Sandbox

NAMESPACES = "/api/v1/namespaces"


def changed_kubeconfig(sandbox: Sandbox, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    data = yaml.safe_load(sandbox.kubeconfig.read_text())
    change(data)
    written = folder / "kubeconfig"
    written.write_text(yaml.safe_dump(data))
    return written


def as_user(name: str, *, token: str = "") -> Callable[[dict[str, Any]], None]:
    """Make a kubeconfig speak for somebody else: by impersonation, or by a token that nobody knows."""

    def change(data: dict[str, Any]) -> None:
        user = data["users"][0]["user"]
        if token:
            user.clear()
            user["token"] = token
        else:
            user["as"] = name

    return change


@pytest.mark.cluster
async def test_a_cluster_says_its_version_and_who_it_is(shared_sandbox: Sandbox) -> None:
    async with await Cluster.connect(kubeconfig=shared_sandbox.kubeconfig, context="") as cluster:
        assert await cluster.version() == "v1.28.15"
        assert len(await cluster.uid()) == 36
        assert (cluster.host, cluster.context) == ("127.0.0.1", shared_sandbox.context)


@pytest.mark.cluster
async def test_not_found_is_none_of_an_object_and_a_refusal_of_a_request(api: Api) -> None:
    assert await api.get(f"{NAMESPACES}/nowhere") is None
    with pytest.raises(RefusedError) as caught:
        await api.request("GET", f"{NAMESPACES}/nowhere")
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
    assert caught.value.detail == 'namespaces "nowhere" not found'


@pytest.mark.cluster
async def test_a_conflict_keeps_its_reason(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    with pytest.raises(RefusedError) as caught:
        await api.request("POST", NAMESPACES, body=body)
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


@pytest.mark.cluster
async def test_a_refused_credential_is_said_with_what_to_do(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    file = changed_kubeconfig(shared_sandbox, tmp_path, as_user("", token="expired-token"))  # noqa: S106 - no password
    async with await Api.connect(kubeconfig=file) as api:
        with pytest.raises(RefusedError, match="does not accept the credentials of context") as caught:
            await api.request("GET", NAMESPACES)
    assert caught.value.status == 401
    assert "console" in caught.value.hint
    assert "expired-token" not in f"{caught.value}{caught.value.detail}{caught.value.hint}"


@pytest.mark.cluster
async def test_a_kubeconfig_may_ask_to_be_taken_for_somebody_else(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    def as_eve(data: dict[str, Any]) -> None:
        data["users"][0]["user"] |= {"as": "eve", "as-groups": ["auditors", "system:authenticated"]}

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    async with await Api.connect(kubeconfig=changed_kubeconfig(shared_sandbox, tmp_path, as_eve)) as api:
        answer = await api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    assert answer["status"]["userInfo"] == {"username": "eve", "groups": ["auditors", "system:authenticated"]}


async def test_what_is_forbidden_is_named_with_the_verb(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    data = yaml.safe_load(shared_sandbox.kubeconfig.read_text())
    async with shared_sandbox.api() as admin:
        body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        account = await admin.request("POST", path, body=body)
    token = account["status"]["token"]
    file = changed_kubeconfig(shared_sandbox, tmp_path, as_user("", token=token))
    async with await Api.connect(kubeconfig=file) as api:
        with pytest.raises(RefusedError, match=f"is not allowed to read {NAMESPACES}") as read:
            await api.request("GET", NAMESPACES)
        with pytest.raises(RefusedError, match="is not allowed to delete"):
            await api.request("DELETE", f"{NAMESPACES}/default")
    assert read.value.status == 403
    assert token not in read.value.detail
    assert data["contexts"][0]["name"] in read.value.message


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "no clusters": lambda data: data.pop("clusters"),
    "a certificate that is none": lambda data: data["clusters"][0]["cluster"].update(
        {"certificate-authority-data": base64.b64encode(b"no certificate").decode()}
    ),
    "data that is no base64": lambda data: data["clusters"][0]["cluster"].update({"certificate-authority-data": "%%%"}),
    "a file that is not there": lambda data: data["clusters"][0].update(
        {"cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "/nowhere/ca.crt"}}
    ),
    "contexts that are a word": lambda data: data.update(contexts="word"),
}


@pytest.mark.cluster
@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
async def test_a_broken_kubeconfig_is_a_cluster_error(
    shared_sandbox: Sandbox, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    file = changed_kubeconfig(shared_sandbox, tmp_path, change)
    with pytest.raises(ClusterError) as caught:
        await (await Api.connect(kubeconfig=file)).__aexit__()
    assert caught.value.hint


@pytest.mark.parametrize("text", ["a: [", "[]", "word", "", "\x00", "a: &a [*a]"])
async def test_a_kubeconfig_that_is_none_is_a_cluster_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(ClusterError) as caught:
        await Api.connect(kubeconfig=file)
    assert str(file) in caught.value.message


async def test_a_kubeconfig_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary", "."):
        with pytest.raises(ClusterError) as caught:
            await Api.connect(kubeconfig=tmp_path / name)
        assert "kubeconfig" in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.cluster
async def test_an_unknown_context_is_named(shared_sandbox: Sandbox) -> None:
    with pytest.raises(ClusterError, match="for context nowhere"):
        await Api.connect(kubeconfig=shared_sandbox.kubeconfig, context="nowhere")


@pytest.mark.cluster
async def test_only_what_is_asked_for_is_sent(api: Api, objects: Objects) -> None:
    answer = await api.request("GET", NAMESPACES, accept=METADATA_LIST)
    assert answer["kind"] == "PartialObjectMetadataList"
    found = await objects.list("v1", "Namespace", metadata_only=True)
    assert {"default", "kube-system"} <= {one["metadata"]["name"] for one in found}
    assert all("spec" not in one and one["kind"] == "Namespace" for one in found)


@pytest.mark.cluster
async def test_an_api_server_that_is_gone_is_unreachable_and_is_found_again(sandbox: Sandbox) -> None:
    async with await Api.connect(kubeconfig=sandbox.kubeconfig) as api:
        objects = Objects(api)
        await sandbox.stop_part(Part.API_SERVER)
        try:
            with pytest.raises(UnreachableError, match="cannot reach the API server at https") as caught:
                await objects.get(ObjectRef("v1", "Namespace", "default"))
        finally:
            await sandbox.start_part(Part.API_SERVER)
        assert "sandbox up" in caught.value.hint
        # what could not be learnt while it was away is asked again
        assert await objects.get(ObjectRef("v1", "Namespace", "default"))


@contextlib.asynccontextmanager
async def answering(*chunks: bytes) -> AsyncIterator[Api]:
    """Connect to a server that gives one answer, piece by piece, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    settings = configuration.Configuration(host=f"http://{host}:{port}")
    async with server, Api(connected(settings), context="cut") as api:
        yield api


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


async def test_an_answer_cut_short_is_a_lost_api_server() -> None:
    async with answering(HEAD, b'{"kind": "Na') as api:
        with pytest.raises(UnreachableError):
            await api.request("GET", NAMESPACES)
        with pytest.raises(UnreachableError):
            await api.text("/log", {})
        with pytest.raises(UnreachableError):
            await anext(api.stream(NAMESPACES, {}))  # half a line is no event


async def test_no_answer_at_all_is_a_lost_api_server() -> None:
    async with answering() as api:
        with pytest.raises(UnreachableError):
            await api.request("GET", NAMESPACES)


async def test_a_proxys_error_page_is_a_refusal_with_its_words() -> None:
    page = b"<html>Bad Gateway</html>"
    head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Length: {len(page)}\r\n\r\n".encode()
    async with answering(head, page) as api:
        with pytest.raises(RefusedError) as caught:
            await api.request("GET", NAMESPACES)
    assert (caught.value.status, caught.value.detail) == (502, page.decode())


async def test_a_watch_yields_events_as_they_come() -> None:
    events = [{"type": "ADDED", "object": {"n": number}} for number in range(2)]
    body = "".join(json.dumps(event) + "\n" for event in events).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with answering(head, body) as api:
        assert [one async for one in api.stream(NAMESPACES, {})] == events
