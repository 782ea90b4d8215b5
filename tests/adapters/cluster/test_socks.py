"""An API server behind a SOCKS5 proxy: named by the kubeconfig or by the environment, for nksmesh as for Helm."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.domain.common.errors import ClusterError, UnreachableError
from nksmesh.domain.kube.objects import Query
from nksmesh.sandbox.sandbox import Sandbox
from tests.adapters.cluster.socks_server import serving_socks
from tests.adapters.cluster.test_opening import PATH, always, kubeconfig, serving

BEHIND = "k8s.behind.example"
"""A name that only the proxy knows."""


def behind(server: str, port: int = 6443) -> dict[str, tuple[str, int]]:
    url = urlsplit(server)
    return {f"{BEHIND}:{port}": (url.hostname or "", url.port or 0)}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def ask(folder: Path, url: str = "", *, server: str = f"http://{BEHIND}:6443") -> None:
    own = {"proxy-url": url} if url else {}
    async with await Api.connect(kubeconfig=kubeconfig(folder, server, {"token": "t"}, **own)) as api:
        await api.request("GET", PATH)


async def test_the_kubeconfigs_socks_proxy_resolves_the_servers_name(tmp_path: Path) -> None:
    async with serving(always(200)) as server, serving_socks(behind(server)) as proxy:
        await ask(tmp_path, f"socks5://127.0.0.1:{proxy.port}")
    assert proxy.asked == [f"{BEHIND}:6443"]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_the_environments_socks_proxy_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with serving(always(200)) as server, serving_socks(behind(server)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        await ask(tmp_path)
    assert proxy.asked == [f"{BEHIND}:6443"]


async def test_no_proxy_spares_a_server_the_environments_proxy_and_not_the_kubeconfigs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", BEHIND)
    async with serving(always(200)) as server, serving_socks(behind(server)) as proxy:
        await ask(tmp_path, f"socks5://127.0.0.1:{proxy.port}")
        assert proxy.asked
        proxy.asked.clear()
        monkeypatch.setenv("HTTP_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(UnreachableError):
            await ask(tmp_path)
    assert not proxy.asked


async def test_a_user_and_password_are_sent_as_the_url_has_them_encoded(tmp_path: Path) -> None:
    async with serving(always(200)) as server, serving_socks(behind(server), ("kim", "p@ss:word/1")) as proxy:
        await ask(tmp_path, f"socks5://kim:p%40ss%3Aword%2F1@127.0.0.1:{proxy.port}")
    assert proxy.asked == [f"{BEHIND}:6443"]


@pytest.mark.parametrize("user", ["", "kim:wrong-word@"])
async def test_a_proxy_that_refuses_is_named_without_the_password(tmp_path: Path, user: str) -> None:
    async with serving_socks({}, ("kim", "right")) as proxy:
        with pytest.raises(UnreachableError) as caught:
            await ask(tmp_path, f"socks5://{user}127.0.0.1:{proxy.port}")
    assert f"SOCKS5 proxy 127.0.0.1:{proxy.port}" in caught.value.detail
    assert "wrong-word" not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"


async def test_a_server_that_the_proxy_cannot_reach_is_said_with_the_proxy(tmp_path: Path) -> None:
    async with serving_socks({}) as proxy:
        with pytest.raises(UnreachableError) as caught:
            await ask(tmp_path, f"socks5://127.0.0.1:{proxy.port}")
    assert "SOCKS5 proxy" in caught.value.detail


async def test_a_proxy_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        await ask(tmp_path, "socks5://127.0.0.1:9")
    assert "SOCKS5 proxy 127.0.0.1:9" in caught.value.detail


BAD = {
    "ftp://10.0.0.1:21": "has the scheme ftp",
    "socks4://10.0.0.1:9": "has the scheme socks4",
    "socks5h://10.0.0.1:9": "has the scheme socks5h",  # client-go refuses it in a kubeconfig, and so does Helm
    "socks5://": "has no host",
    "http://:3128": "has no host",
    "10.0.0.1:3128": "has no scheme",
    "http://kim:pa/ss-word@10.0.0.1:9": "is not a URL",
    "http://[::1": "is not a URL",
}


@pytest.mark.parametrize(("url", "words"), BAD.items())
async def test_a_proxy_url_that_cannot_be_used_is_said_and_no_proxy_is_no_advice(
    tmp_path: Path, url: str, words: str
) -> None:
    with pytest.raises(ClusterError) as caught:
        await ask(tmp_path, url)
    error = caught.value
    assert f"proxy-url in {tmp_path / 'kubeconfig'} {words}" in error.message
    assert "list the API server in NO_PROXY" not in error.hint
    assert "NO_PROXY does not apply to it" in error.hint
    assert "ss-word" not in f"{error.message}{error.hint}{error.detail}"


@pytest.mark.parametrize("url", ["ftp://10.0.0.1:21", "socks5://", "http://kim:pa/ss-word@10.0.0.1:9"])
async def test_an_environments_proxy_that_cannot_be_used_is_said_and_no_proxy_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ClusterError, match="HTTPS_PROXY") as caught:
        await ask(tmp_path, server=f"https://{BEHIND}:6443")
    assert "list the API server in NO_PROXY" in caught.value.hint
    assert "ss-word" not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"


@pytest.mark.cluster
async def test_tls_a_watch_and_helm_go_through_it(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    config = yaml.safe_load(shared_sandbox.kubeconfig.read_text())
    server = config["clusters"][0]["cluster"]["server"]
    # The name is none of the certificate's: tls-server-name must reach TLS through the proxy, too.
    config["clusters"][0]["cluster"] |= {"server": f"https://{BEHIND}:6443", "tls-server-name": "localhost"}
    async with serving_socks(behind(server)) as proxy:
        config["clusters"][0]["cluster"]["proxy-url"] = f"socks5://127.0.0.1:{proxy.port}"
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        async with await Cluster.connect(kubeconfig=file, context="") as cluster:
            assert (await cluster.version()).startswith("v1.")
            await cluster.live.follow([Query("v1", "Namespace")])
            assert cluster.live.get("Namespace", "default") is not None
        ours = len(proxy.asked)
        assert ours
        await helm_lists(file)
        assert len(proxy.asked) > ours
    assert set(proxy.asked) == {f"{BEHIND}:6443"}


async def helm_lists(file: Path) -> None:
    helm = await asyncio.create_subprocess_exec(
        "helm", "list", "--kubeconfig", str(file), env=dict(os.environ), stderr=asyncio.subprocess.PIPE
    )
    _, words = await helm.communicate()
    assert helm.returncode == 0, words.decode()
