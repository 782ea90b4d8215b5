"""Charts from Helm repositories, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nksmesh.adapters import http
from nksmesh.adapters.charts import repository
from nksmesh.adapters.charts.archive import digest_of
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ChartError, ConfigError, MeshError

if TYPE_CHECKING:
    from tests.adapters.charts.conftest import Proxy, Site


def ref(source: str, name: str = "base", version: str = "1.20.0") -> ChartRef:
    return ChartRef(name=name, version=version, source=source)


async def fetch(store: ChartStore, *wanted: ChartRef, lock: Lock | None = None, locked: bool = False) -> list[Chart]:
    fetched = await store.fetch(wanted, lock=lock or Lock(), locked=locked)
    return [fetched[one] for one in wanted]


async def refused(store: ChartStore, wanted: ChartRef, *, lock: Lock | None = None) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await fetch(store, wanted, lock=lock)
    assert caught.value.hint
    assert "s3cret" not in f"{caught.value!r}{caught.value.__dict__}"
    return caught.value


async def test_relative_urls_are_below_the_repository(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"), ("base", "1.19.0"), ("istiod", "1.20.0"))
    base, istiod = await fetch(store, ref(site.url), ref(site.url, "istiod"))
    assert base.digest == digest_of(site.pack("base"))
    assert (istiod.ref.name, istiod.app_version, istiod.defaults) == ("istiod", "1.20.0", {"global": {}})
    assert sorted(site.asked) == ["/charts/base-1.20.0.tgz", "/charts/index.yaml", "/charts/istiod-1.20.0.tgz"]


async def test_a_trailing_slash_makes_no_difference(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    (chart,) = await fetch(store, ref(f"{site.url}/"))
    assert chart.ref.source == site.url
    assert store.cached(ref(site.url), Lock())


async def test_absolute_urls_lead_to_another_server(store: ChartStore, site: Site, other_site: Site) -> None:
    site.add(("base", "1.20.0"), at=f"{other_site.url}/")
    other_site.pages = {path: content for path, content in site.pages.items() if path.endswith(".tgz")}
    await fetch(store, ref(site.url))
    assert (site.asked, other_site.asked) == (["/charts/index.yaml"], ["/charts/base-1.20.0.tgz"])


async def test_redirects_are_followed(store: ChartStore, site: Site, other_site: Site) -> None:
    other_site.add(("base", "1.20.0"))
    site.pages["/charts/index.yaml"] = site.status(302, Location=f"{other_site.url}/index.yaml")
    site.pages["/charts/base-1.20.0.tgz"] = site.status(301, Location=f"{other_site.url}/base-1.20.0.tgz")
    await fetch(store, ref(site.url))
    assert other_site.asked == ["/charts/index.yaml", "/charts/base-1.20.0.tgz"]


async def test_archives_are_fetched_at_the_same_time(store: ChartStore, site: Site) -> None:
    names = ["base", "istiod", "gateway"]
    site.add(*((name, "1.20.0") for name in names))
    together = asyncio.Barrier(len(names))
    loop = asyncio.get_running_loop()
    for name in names:

        def answer(request: Any, name: str = name) -> None:
            asyncio.run_coroutine_threadsafe(together.wait(), loop).result(5)
            site.page(site.pack(name))(request)

        site.pages[f"/charts/{name}-1.20.0.tgz"] = answer
    assert len(await fetch(store, *(ref(site.url, name) for name in names))) == len(names)


async def test_the_second_run_needs_no_network(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    first = await fetch(store, ref(site.url))
    site.pages.clear()
    site.asked.clear()
    assert store.cached(ref(site.url), Lock())
    assert await fetch(store, ref(site.url)) == first
    assert site.asked == []
    assert not store.cached(ref(site.url, version="1.19.0"), Lock())


async def test_a_pinned_archive_comes_from_the_cache_whatever_its_source(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    (chart,) = await fetch(store, ref(site.url))
    elsewhere = ref("https://nowhere.invalid/charts")
    (same,) = await fetch(store, elsewhere, lock=Lock().pin(elsewhere, chart.digest), locked=True)
    assert same.folder == chart.folder
    error = await refused(store, elsewhere)
    assert "https://nowhere.invalid/charts/index.yaml could not be fetched" in error.message


async def test_the_cached_archive_is_not_used_against_the_lock(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    (old,) = await fetch(store, ref(site.url))
    new = site.pack("base", values="new: true\n")
    site.pages["/charts/base-1.20.0.tgz"] = new
    (chart,) = await fetch(store, ref(site.url), lock=Lock().pin(ref(site.url), digest_of(new)))
    assert chart.digest == digest_of(new) != old.digest


async def test_what_is_damaged_in_the_cache_is_fetched_again(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    (chart,) = await fetch(store, ref(site.url))
    for path in store.cache.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert not store.cached(ref(site.url), Lock())
    site.asked.clear()
    assert await fetch(store, ref(site.url)) == [chart]
    assert "/charts/base-1.20.0.tgz" in site.asked
    assert store.cached(ref(site.url), Lock())


async def test_an_unpacked_chart_that_is_damaged_needs_no_network(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    (chart,) = await fetch(store, ref(site.url))
    (chart.folder / "values.yaml").write_text("evil: true\n")
    site.pages.clear()
    assert await fetch(store, ref(site.url)) == [chart]
    assert (chart.folder / "values.yaml").read_text() == "global: {}\n"


async def test_two_fetchers_at_once_end_with_the_same_chart(cache: Path, site: Site) -> None:
    site.add(("base", "1.20.0"))
    stores = [ChartStore(cache=cache) for _ in range(4)]
    fetched = await asyncio.gather(*(fetch(store, ref(site.url)) for store in stores))
    assert all(charts == fetched[0] for charts in fetched)
    assert not list((cache / "charts").glob(".fresh-*"))


async def test_a_tampered_archive_is_refused_with_both_digests(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    right, wrong = digest_of(site.pack("base")), digest_of(site.pack("base", values="evil: true\n"))
    site.pages["/charts/base-1.20.0.tgz"] = site.pack("base", values="evil: true\n")
    error = await refused(store, ref(site.url), lock=Lock().pin(ref(site.url), right))
    assert isinstance(error, ChartError)
    assert right in error.detail
    assert wrong in error.detail
    assert not store.cache.exists()


async def test_an_archive_that_the_index_disowns_is_refused(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"), digest="1" * 64)
    error = await refused(store, ref(site.url))
    assert "sha256:" + "1" * 64 in error.detail
    assert digest_of(site.pack("base")) in error.detail


async def test_an_archive_that_the_index_owns_is_taken(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"), digest=digest_of(site.pack("base")).removeprefix("sha256:"))
    await fetch(store, ref(site.url))


async def test_an_unknown_version_names_those_there_are(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"), ("base", "1.19.0"))
    error = await refused(store, ref(site.url, version="1.20.7"))
    assert f"no chart base 1.20.7 in {site.url}" in error.message
    assert "1.20.0" in error.hint
    assert "It has no chart ztunnel" in (await refused(store, ref(site.url, "ztunnel"))).hint


@pytest.mark.parametrize("path", ["/charts/index.yaml", "/charts/base-1.20.0.tgz"])
async def test_what_is_not_there_is_named(path: str, store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    del site.pages[path]
    error = await refused(store, ref(site.url))
    assert f"{path} could not be fetched: the server says 404" in error.message
    assert "--charts FOLDER" in error.hint
    assert site.asked.count(path) == 1


async def test_a_download_that_breaks_off_is_tried_again(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    path = "/charts/base-1.20.0.tgz"
    site.pages[path] = site.in_turn(site.status(503), site.broken_off(site.pack("base")), site.pack("base"))
    (chart,) = await fetch(store, ref(site.url))
    assert chart.digest == digest_of(site.pack("base"))
    assert site.asked.count(path) == 3


async def test_a_download_that_always_breaks_off_is_an_error(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    site.pages["/charts/base-1.20.0.tgz"] = site.broken_off(site.pack("base"))
    assert (
        "base-1.20.0.tgz could not be fetched: the response was cut off"
        in (await refused(store, ref(site.url))).message
    )
    assert not store.cache.exists()


async def test_half_an_archive_is_refused(store: ChartStore, site: Site) -> None:
    site.add(("base", "1.20.0"))
    site.pages["/charts/base-1.20.0.tgz"] = site.pack("base")[:-4]
    assert "is not a whole .tgz archive" in (await refused(store, ref(site.url))).message
    assert not store.cached(ref(site.url), Lock())


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (b"<html>", "has no entries"),
        (b"a: [", "is not YAML"),
        (b"entries: {base: [{version: 1.20.0}]}", "names no archive"),
        (b"entries: {base: [{version: 1.20.0, urls: ['file:///etc/passwd']}]}", "file://"),
        (b"entries: {base: [{version: 1.20.0, urls: ['http://[broken']}]}", "names no URL"),
        (b"entries: {base: text}", "no chart base"),
    ],
)
async def test_what_is_no_index_is_refused(index: bytes, words: str, store: ChartStore, site: Site) -> None:
    site.pages["/charts/index.yaml"] = index
    assert words in (await refused(store, ref(site.url))).message


async def test_an_archive_that_never_ends_is_stopped(
    store: ChartStore, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MOST_ARCHIVE", 100)
    site.add(("base", "1.20.0"))
    assert "is larger than" in (await refused(store, ref(site.url))).message


async def test_a_server_that_says_nothing_is_given_up(
    store: ChartStore, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(store, ref(f"http://127.0.0.1:{silent.getsockname()[1]}/charts"))
    assert "no answer for" in error.message
    assert site.asked == []


async def test_no_network_names_the_host_and_the_way_out(store: ChartStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/charts"
    error = await refused(store, ref(url))
    assert error.message == f"{url}/index.yaml could not be fetched: no connection"
    assert "127.0.0.1" in error.hint
    assert "--charts FOLDER" in error.hint


async def test_credentials_reach_their_server_and_nothing_else(store: ChartStore, site: Site, other_site: Site) -> None:
    site.add(("base", "1.20.0"), ("istiod", "1.20.0"))
    entries = yaml.safe_load(site.pages["/charts/index.yaml"])["entries"]  # type: ignore[arg-type]
    entries["istiod"][0]["urls"] = [f"{other_site.url}/istiod-1.20.0.tgz"]
    site.pages["/charts/index.yaml"] = yaml.safe_dump({"entries": entries}).encode()
    other_site.pages["/charts/istiod-1.20.0.tgz"] = site.pack("istiod")
    url = site.url.replace("//", "//me:s3cret@")
    base, istiod = await fetch(store, ref(url), ref(url, "istiod"))
    expected = "Basic " + base64.b64encode(b"me:s3cret").decode()
    assert site.authorizations == [expected, expected]
    assert other_site.authorizations == [None]
    assert base.ref.source == istiod.ref.source == site.url
    assert not [path for path in store.cache.rglob("*.json") if b"s3cret" in path.read_bytes()]


async def test_a_server_that_wants_credentials_is_said(store: ChartStore, site: Site) -> None:
    site.pages["/charts/index.yaml"] = site.status(401)
    error = await refused(store, ref(site.url.replace("//", "//me:s3cret@")))
    assert "401" in error.message
    assert "USER:PASSWORD" in error.hint


async def test_a_proxy_and_an_authority_of_ones_own_are_honoured(
    cache: Path, secure_site: tuple[Site, Proxy], authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, proxy = secure_site
    site.add(("base", "1.20.0"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.url}")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        store = ChartStore(cache=cache / name, environ={name: str(authority[0])})
        assert (await fetch(store, ref(site.url)))[0].ref.source == site.url
    assert set(proxy.asked) == {"CONNECT charts.test:443"}


async def test_an_unknown_authority_is_refused_and_not_tried_again(
    store: ChartStore, secure_site: tuple[Site, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, proxy = secure_site
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.url}")
    error = await refused(store, ref(site.url))
    assert "its certificate is not trusted" in error.message
    assert "SSL_CERT_FILE" in error.message
    assert len(proxy.asked) == 1


async def test_a_proxys_password_is_used_and_not_shown(
    cache: Path, secure_site: tuple[Site, Proxy], authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, proxy = secure_site
    site.add(("base", "1.20.0"))
    proxy.wants = "Basic " + base64.b64encode(b"me:s3cret").decode()
    store = ChartStore(cache=cache, environ={"SSL_CERT_FILE": str(authority[0])})
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong-s3cret@{proxy.url}")
    error = await refused(store, ref(site.url))
    assert f"through the proxy http://{proxy.url}" in error.message
    assert "407" in error.message
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@{proxy.url}")
    await fetch(store, ref(site.url))


@pytest.mark.parametrize("proxy", ["foo://me:s3cret@host:1", "http://me:s3cret@host:port"])
async def test_a_proxy_that_is_none_is_said(
    proxy: str, store: ChartStore, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    error = await refused(store, ref(site.url))
    assert isinstance(error, ConfigError)
    assert "proxy" in error.message


async def test_a_bundle_that_is_none_is_named(cache: Path, site: Site, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("nothing")
    for environ in ({"SSL_CERT_FILE": str(tmp_path / "bundle.pem")}, {"REQUESTS_CA_BUNDLE": "/no/such/file"}):
        error = await refused(ChartStore(cache=cache, environ=environ), ref(site.url))
        assert isinstance(error, ConfigError)
        assert next(iter(environ)) in error.message


async def test_https_does_not_lead_to_http(
    cache: Path,
    secure_site: tuple[Site, Proxy],
    other_site: Site,
    authority: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, proxy = secure_site
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.url}")
    store = ChartStore(cache=cache, environ={"SSL_CERT_FILE": str(authority[0])})
    other_site.add(("base", "1.20.0"))
    site.add(("base", "1.20.0"), at=f"{other_site.url}/")
    assert "http://" in (await refused(store, ref(site.url))).message
    site.pages["/charts/index.yaml"] = site.status(302, Location=f"{other_site.url}/index.yaml")
    assert "which is not safe" in (await refused(store, ref(site.url))).message
