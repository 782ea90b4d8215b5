"""Credentials and proxies: plugins that run, tokens that expire, servers that want to be asked again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.domain.common.errors import ClusterError, RefusedError

VERSION = "client.authentication.k8s.io/v1"
PATH = "/api/v1/namespaces"

Head = dict[str, str]
Respond = Callable[[str, Head], tuple[int, Head]]


@contextlib.asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[str]:
    """Serve answers; the responder takes the request line and headers, and gives a status and headers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        status, more = respond(lines[0], headers)
        said = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{said}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


def kubeconfig(folder: Path, server: str, user: dict[str, Any] | None, **cluster: str) -> Path:
    file = folder / "kubeconfig"
    context = {"cluster": "c"} if user is None else {"cluster": "c", "user": "u"}
    data = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [] if user is None else [{"name": "u", "user": user}],
    }
    file.write_text(json.dumps(data))
    return file


def plugin(folder: Path, code: str) -> dict[str, Any]:
    """Write a plugin, and the user that names it."""
    program = folder / "plugin.py"
    program.write_text(f"import json, os, sys\n{code}")
    return {"exec": {"apiVersion": VERSION, "command": sys.executable, "args": [str(program)]}}


ANSWER = 'print(json.dumps({{"apiVersion": "{version}", "kind": "ExecCredential", "status": {status}}}))'


def always(status: int, **headers: str) -> Respond:
    return lambda *_: (status, headers)


async def test_a_plugins_token_is_used_and_it_reads_nothing_of_ours(tmp_path: Path) -> None:
    user = plugin(
        tmp_path,
        'info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])\n'
        'assert info["spec"]["interactive"] is False\n'
        "token = 'said-' + sys.stdin.read() + os.environ['WHO']\n"
        + ANSWER.format(version=VERSION, status='{"token": token}'),
    )
    user["exec"]["env"] = [{"name": "WHO", "value": "kim"}]
    seen: list[str] = []

    def respond(_: str, headers: Head) -> tuple[int, Head]:
        seen.append(headers.get("authorization", ""))
        return 200, {}

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, user)) as api:
        assert await api.request("GET", PATH) == {}
    assert seen == ["Bearer said-kim"]


BAD_PLUGINS = {
    "fails": ('sys.stderr.write("not signed in"); sys.exit(3)', "not signed in"),
    "fails silently": ("sys.exit(3)", "exit code 3"),
    "says much": ('sys.stderr.write("x" * 1_000_000 + "the end"); sys.exit(1)', "the end"),
    "no JSON": ('print("secret-word")', "not JSON"),
    "another version": (ANSWER.format(version="other/v1", status='{"token": "secret-word"}'), "not an ExecCredential"),
    "no credentials": (ANSWER.format(version=VERSION, status="{}"), "neither a token nor"),
    "half a certificate": (
        ANSWER.format(version=VERSION, status='{"clientCertificateData": "secret-word"}'),
        "neither",
    ),
}


@pytest.mark.parametrize(("code", "words"), BAD_PLUGINS.values(), ids=BAD_PLUGINS)
async def test_a_plugin_that_gives_nothing_is_an_error_with_its_words(tmp_path: Path, code: str, words: str) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1", plugin(tmp_path, code))
    with pytest.raises(ClusterError, match="of context x gave no credentials") as caught:
        await Api.connect(kubeconfig=file)
    assert words in caught.value.detail
    assert "secret-word" not in f"{caught.value.detail}{caught.value.message}{caught.value.hint}"


async def test_a_plugin_that_is_not_there_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": VERSION, "command": "no-such-login", "installHint": "Get it from example."}}
    with pytest.raises(ClusterError, match="plugin no-such-login") as caught:
        await Api.connect(kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:1", user))
    assert caught.value.hint == "Get it from example."


@pytest.mark.parametrize("arguments", ["get-token", 5, {"get": "token"}])
async def test_a_plugins_arguments_are_a_list(tmp_path: Path, arguments: object) -> None:
    user = {"exec": {"apiVersion": VERSION, "command": sys.executable, "args": arguments}}
    with pytest.raises(ClusterError, match="cannot be used") as caught:
        await Api.connect(kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:1", user))
    assert caught.value.detail == "exec: args is not a list"


async def test_a_token_that_expires_is_had_anew_once_for_all_that_ask(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    user = plugin(
        tmp_path,
        f"path = {str(count)!r}\nturn = int(open(path).read()) + 1\nopen(path, 'w').write(str(turn))\n"
        + ANSWER.format(version=VERSION, status='{"token": f"t{turn}"}'),
    )

    def respond(_: str, headers: Head) -> tuple[int, Head]:
        return (200, {}) if headers["authorization"] == "Bearer t2" else (401, {})

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, user)) as api:
        assert await asyncio.gather(*(api.request("GET", PATH) for _ in range(5))) == [{}] * 5
    assert count.read_text() == "2"


async def test_a_refusal_that_fresh_credentials_do_not_end_is_said(tmp_path: Path) -> None:
    user = plugin(tmp_path, ANSWER.format(version=VERSION, status='{"token": "t"}'))
    async with (
        serving(always(401)) as server,
        await Api.connect(kubeconfig=kubeconfig(tmp_path, server, user)) as api,
    ):
        with pytest.raises(RefusedError, match="does not accept the credentials of context x"):
            await api.request("GET", PATH)


async def test_a_context_without_a_user_asks_as_nobody(tmp_path: Path) -> None:
    seen: list[Head] = []

    def respond(_: str, headers: Head) -> tuple[int, Head]:
        seen.append(headers)
        return 200, {}

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, None)) as api:
        await api.request("GET", PATH)
    assert "authorization" not in seen[0]


@pytest.mark.parametrize("provider", ["gcp", "azure"])
async def test_an_auth_provider_that_helm_does_not_know_is_refused(tmp_path: Path, provider: str) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1", {"auth-provider": {"name": provider}})
    with pytest.raises(ClusterError) as caught:
        await Api.connect(kubeconfig=file)
    assert "only oidc" in caught.value.detail


def id_token(**claims: float) -> str:
    return f"a.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c"


def with_oidc(folder: Path, server: str, config: Head | None) -> Path:
    return kubeconfig(folder, server, {"auth-provider": {"name": "oidc", "config": config}})


@pytest.mark.parametrize(
    "config",
    [None, {}, {"id-token": "a"}, {"id-token": "a.!!.c"}, {"id-token": "a.W10.c"}, {"id-token": id_token(exp=1)}],
)
async def test_an_oidc_token_that_is_none_or_has_expired_is_said(tmp_path: Path, config: Head | None) -> None:
    with pytest.raises(ClusterError) as caught:
        await Api.connect(kubeconfig=with_oidc(tmp_path, "http://127.0.0.1:1", config))
    assert "kubectl" in caught.value.hint
    assert "oidc id-token" in caught.value.detail


async def test_an_oidc_token_is_sent(tmp_path: Path) -> None:
    seen: list[str] = []

    def respond(_: str, headers: Head) -> tuple[int, Head]:
        seen.append(headers["authorization"])
        return 200, {}

    token = id_token(exp=time.time() + 60)
    async with (
        serving(respond) as server,
        await Api.connect(kubeconfig=with_oidc(tmp_path, server, {"id-token": token})) as api,
    ):
        await api.request("GET", PATH)
    assert seen == [f"Bearer {token}"]


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "t", "tokenFile": "token"}, "Bearer t"),
        ({"tokenFile": "token"}, "Bearer of-the-file"),
        ({"tokenFile": "token", "username": "u", "password": "p"}, "Bearer of-the-file"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({"username": "u"}, None),
    ],
    ids=["token", "file", "file before password", "password", "a name alone"],
)
async def test_a_token_goes_before_its_file_and_both_before_a_password(
    tmp_path: Path, user: dict[str, str], header: str | None
) -> None:
    (tmp_path / "token").write_text("of-the-file\n")
    seen = []

    def respond(_: str, headers: Head) -> tuple[int, Head]:
        seen.append(headers.get("authorization"))
        return 200, {}

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, user)) as api:
        await api.request("GET", PATH)
    assert seen == [header]


async def test_a_key_that_the_kubeconfig_holds_is_on_disk_only_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    loaded = []

    def load(_: ssl.SSLContext, certfile: str, keyfile: str) -> None:
        loaded.append(
            (Path(certfile).read_text(), Path(keyfile).read_text(), Path(keyfile).parent.stat().st_mode & 0o77)
        )

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    said = {f"client-{name}-data": base64.b64encode(name.encode()).decode() for name in ("certificate", "key")}
    async with await Api.connect(kubeconfig=kubeconfig(tmp_path, "https://127.0.0.1:1", said)):
        assert loaded == [("certificate", "key", 0)]
        assert list((tmp_path / "temporary").iterdir()) == []


async def test_a_bug_of_ours_is_not_taken_for_a_bad_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.cluster.proxies.proxy_for", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await Api.connect(kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "t"}))


async def test_this_machine_is_reached_past_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with (
        serving(always(200)) as server,
        await Api.connect(kubeconfig=kubeconfig(tmp_path, server, {"token": "t"})) as api,
    ):
        assert await api.request("GET", PATH) == {}


async def test_the_kubeconfigs_own_proxy_and_the_environments_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def respond(line: str, _: Head) -> tuple[int, Head]:
        asked.append(line.split()[1])
        return 200, {}

    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(respond) as proxy:
        own = kubeconfig(tmp_path, "http://k.example:1", {"token": "t"}, **{"proxy-url": proxy})
        async with await Api.connect(kubeconfig=own) as api:
            await api.request("GET", PATH)
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with await Api.connect(kubeconfig=kubeconfig(tmp_path, "http://m.example:1", {"token": "t"})) as api:
            await api.request("GET", PATH)
    assert asked == [f"http://k.example:1{PATH}", f"http://m.example:1{PATH}"]


@pytest.mark.parametrize(
    ("method", "status", "headers", "tries"),
    [
        ("GET", 429, {"Retry-After": "1"}, 2),
        ("POST", 429, {"Retry-After": "1"}, 2),
        ("GET", 503, {}, 2),
        ("GET", 500, {}, 2),
        ("POST", 503, {}, 1),
        ("PATCH", 500, {}, 1),
        ("GET", 429, {"Retry-After": "60"}, 1),
        ("GET", 404, {}, 1),
    ],
)
async def test_what_passes_is_asked_again(tmp_path: Path, method: str, status: int, headers: Head, tries: int) -> None:
    asked: list[float] = []

    def respond(*_: object) -> tuple[int, Head]:
        asked.append(time.monotonic())
        return (status, headers) if len(asked) == 1 else (200, {})

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, None)) as api:
        if tries == 1:
            with pytest.raises(RefusedError) as caught:
                await api.request(method, PATH)
            assert caught.value.status == status
        else:
            assert await api.request(method, PATH) == {}
    assert len(asked) == tries
    if tries == 2 and "Retry-After" in headers:
        assert asked[1] - asked[0] >= 0.95


async def test_what_does_not_pass_is_asked_four_times(tmp_path: Path) -> None:
    asked: list[str] = []

    def respond(line: str, _: Head) -> tuple[int, Head]:
        asked.append(line)
        return 503, {}

    async with serving(respond) as server, await Api.connect(kubeconfig=kubeconfig(tmp_path, server, None)) as api:
        with pytest.raises(RefusedError):
            await api.request("GET", PATH)
    assert len(asked) == 4


async def test_a_watch_says_how_long_it_may_be_and_a_silent_one_is_told_from_a_lost_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nksmesh.adapters.cluster.api.SILENCE_SECONDS", 0.1)
    asked: list[bytes] = []
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"type": "BOOKMARK"}\n')
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, await Api.connect(kubeconfig=kubeconfig(tmp_path, f"http://{host}:{port}", None)) as api:
        events = api.stream(PATH, {"resourceVersion": "1"})
        assert await anext(events) == {"type": "BOOKMARK"}
        with pytest.raises(TimeoutError, match="nothing heard"):
            await anext(events)
        await hung_up.wait()
    assert b"watch=true&timeoutSeconds=300 " in asked[0]


async def test_only_so_many_requests_are_under_way_at_once(tmp_path: Path) -> None:
    under_way, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        await reader.readuntil(b"\r\n\r\n")
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, await Api.connect(kubeconfig=kubeconfig(tmp_path, f"http://{host}:{port}", None)) as api:
        await asyncio.gather(*(api.request("GET", PATH) for _ in range(60)))
    assert most == 12
