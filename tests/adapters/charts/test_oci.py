"""Charts of a real registry, pulled by the real Helm 3 and 4: pinned, refused, and the login that Docker keeps."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nksmesh.adapters.charts.archive import digest_of
from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.commands.archives import vendor_charts, verify_charts
from nksmesh.commands.charts import lock_charts
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ChartError, ConfigError
from tests.adapters.charts.conftest import pack
from tests.adapters.registry.servers import MANIFEST, Server, passwords, registry

NAMES = ("base", "gateway", "istiod")
SECRET = "s3cret-of-a-pusher"  # noqa: S105 - of a registry of the tests


@pytest.fixture(params=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Each Helm in turn, without logins of this machine's."""
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(tmp_path / "helm-registry.json"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    program: str = request.getfixturevalue(request.param)
    return program


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry on loopback that lets everybody in."""
    with registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def oci_store(cache: Path, helm: str) -> ChartStore:
    """A store whose charts the Helm of the test pulls."""
    return ChartStore(cache=cache, helm=helm)


def push(helm: str, server: Server, folder: Path, name: str = "base", values: str = "a: 1\n") -> bytes:
    """Push a chart with Helm, and return its archive."""
    archive = folder / f"{name}-1.20.0.tgz"
    archive.write_bytes(pack(name, values=values))
    where = f"oci://{server.host}/mesh/charts"
    subprocess.run([helm, "push", str(archive), where, "--plain-http"], check=True, capture_output=True)
    return archive.read_bytes()


def ref(server: Server, name: str = "base", version: str = "1.20.0") -> ChartRef:
    return ChartRef(name=name, version=version, source=f"oci://{server.host}/mesh/charts")


async def fetch(store: ChartStore, wanted: ChartRef, **options: Any) -> Any:
    return (await store.fetch([wanted], **{"lock": Lock(), **options}))[wanted]


def manifest_of(server: Server, name: str = "base") -> tuple[str, dict[str, Any]]:
    """Return the digest and the content of a chart's manifest, as the registry has it."""
    url = f"http://{server.host}/v2/mesh/charts/{name}/manifests/1.20.0"
    answer = httpx.get(url, headers={"Accept": MANIFEST}, trust_env=False).raise_for_status()
    return f"sha256:{hashlib.sha256(answer.content).hexdigest()}", answer.json()


def put_manifest(server: Server, name: str, manifest: dict[str, Any]) -> None:
    """Push a manifest as a chart's 1.20.0."""
    url = f"http://{server.host}/v2/mesh/charts/{name}/manifests/1.20.0"
    httpx.put(url, content=json.dumps(manifest), headers={"Content-Type": MANIFEST}, trust_env=False).raise_for_status()


def mount(server: Server, manifest: dict[str, Any]) -> None:
    """Let the repository of base have the blobs of istiod's manifest."""
    for blob in (manifest["config"], *manifest["layers"]):
        where = f"http://{server.host}/v2/mesh/charts/base/blobs/uploads/"
        asked = {"mount": blob["digest"], "from": "mesh/charts/istiod"}
        httpx.post(where, params=asked, trust_env=False).raise_for_status()


async def test_a_chart_is_pulled_once_with_the_digest_of_its_manifest(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    archive = push(helm, server, tmp_path)
    assert not oci_store.cached(ref(server), Lock())
    chart = await fetch(oci_store, ref(server))
    assert (chart.digest, chart.manifest) == (digest_of(archive), manifest_of(server)[0])
    assert chart.defaults == {"a": 1}
    assert oci_store.cached(ref(server), Lock())
    asked = len(server.requests)
    again = await fetch(oci_store, ref(server))
    assert (again.digest, again.manifest, len(server.requests)) == (chart.digest, chart.manifest, asked)


async def test_both_digests_are_pinned_and_renewed_on_purpose_alone(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    for name in NAMES:
        push(helm, server, tmp_path, name)
    locks = LockFile(tmp_path / "charts.lock")
    locks.write(Lock())
    source = ref(server).source
    first = await lock_charts(["1.20.0"], source=source, charts=oci_store, locks=locks)
    assert (first.added, dict(first.renewed)) == (3, {})
    manifest, _ = manifest_of(server)
    assert f'    manifest: "{manifest.removeprefix("sha256:")}"\n' in locks.path.read_text()
    assert locks.read().pins(ref(server)) == (first.charts[0].digest, manifest)
    assert (await lock_charts(charts=oci_store, locks=locks)).added == 0

    changed = push(helm, server, tmp_path, values="a: 2\n")
    other = ChartStore(cache=tmp_path / "other-cache", helm=helm)
    with pytest.raises(ChartError, match="is not the archive that") as refused:
        await fetch(other, ref(server), lock=locks.read())
    assert f"the archive: {digest_of(changed)}" in refused.value.detail
    assert f"charts lock --upgrade 1.20.0 --charts {source}" in refused.value.hint
    before = locks.path.read_bytes()
    with pytest.raises(ChartError, match="is not the archive that"):
        await lock_charts(charts=other, locks=locks)
    assert locks.path.read_bytes() == before

    renewed = await lock_charts(charts=oci_store, locks=locks, upgrade=True)
    assert renewed.added == 1
    assert set(renewed.renewed) == {"base 1.20.0"}
    assert locks.read().pins(ref(server)) == (digest_of(changed), manifest_of(server)[0])
    assert (await fetch(other, ref(server), lock=locks.read(), locked=True)).digest == digest_of(changed)


async def test_the_same_archive_under_another_manifest_is_refused(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    push(helm, server, tmp_path)
    chart = await fetch(oci_store, ref(server))
    lock = Lock().pin(ref(server), chart.digest, chart.manifest)
    put_manifest(server, "base", {**manifest_of(server)[1], "annotations": {"pushed": "again"}})
    with pytest.raises(ChartError, match="is not the manifest that") as refused:
        await fetch(ChartStore(cache=tmp_path / "new", helm=helm), ref(server), lock=lock)
    assert f"in the lock: {chart.manifest}" in refused.value.detail


async def test_what_is_not_there_or_not_reached_is_said(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    push(helm, server, tmp_path)
    for wanted in (ref(server, version="1.99.0"), ref(server, "ztunnel")):
        with pytest.raises(ChartError, match=f"there is no chart {wanted} in oci://") as missing:
            await fetch(oci_store, wanted)
        assert "helm push" in missing.value.hint
    nobody = ChartRef(name="base", version="1.20.0", source="oci://127.0.0.1:1/charts")
    with pytest.raises(ChartError, match=r"could not be pulled from oci://127\.0\.0\.1:1/charts") as unreached:
        await fetch(oci_store, nobody)
    assert "--charts FOLDER" in unreached.value.hint
    with pytest.raises(ConfigError, match="--helm /no/such/helm"):
        await fetch(ChartStore(cache=tmp_path / "new", helm="/no/such/helm"), ref(server))


async def test_another_charts_archive_is_refused(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    push(helm, server, tmp_path, "istiod")
    _, manifest = manifest_of(server, "istiod")
    mount(server, manifest)
    put_manifest(server, "base", manifest)
    with pytest.raises(ChartError, match=r"should be base 1\.20\.0, but its Chart\.yaml says istiod"):
        await fetch(oci_store, ref(server))
    assert not oci_store.cached(ref(server), Lock())


async def test_docker_keeps_the_login_and_nothing_shows_it(helm: str, oci_store: ChartStore, tmp_path: Path) -> None:
    with registry(tmp_path / "closed", auth=passwords(tmp_path / "closed", {"pusher": SECRET})) as server:
        with pytest.raises(ChartError, match="refuses to give chart base") as refused:
            await fetch(oci_store, ref(server))
        assert f"docker login {server.host}" in refused.value.hint
        login = base64.b64encode(f"pusher:{SECRET}".encode()).decode()
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {server.host: {"auth": login}}}))
        archive = push(helm, server, tmp_path)
        assert (await fetch(oci_store, ref(server))).digest == digest_of(archive)
        with pytest.raises(ChartError) as missing:
            await fetch(oci_store, ref(server, version="9.9.9"))
    for error in (refused.value, missing.value):
        assert SECRET not in f"{error.message}{error.hint}{error.detail}"
        assert login not in f"{error.message}{error.hint}{error.detail}"


async def test_a_registry_is_vendored_into_a_folder_and_verified(
    helm: str, server: Server, oci_store: ChartStore, tmp_path: Path
) -> None:
    for name in NAMES:
        push(helm, server, tmp_path, name)
    locks = LockFile(tmp_path / "charts.lock")
    locks.write(Lock())
    await lock_charts(["1.20.0"], source=ref(server).source, charts=oci_store, locks=locks)
    folder = tmp_path / "vendored"
    vendored = await vendor_charts(folder, charts=oci_store, locks=locks)
    assert [row.file for row in vendored.charts] == [f"{name}-1.20.0.tgz" for name in NAMES]
    assert verify_charts(folder=str(folder), charts=oci_store, locks=locks).exit_code == 0
    assert verify_charts(charts=oci_store, locks=locks).exit_code == 0
    elsewhere = ChartRef(name="base", version="1.20.0", source=str(folder))
    assert (await fetch(oci_store, elsewhere, lock=locks.read(), locked=True)).digest == vendored.charts[0].digest


def test_the_program_pins_copies_and_verifies(helm: str, server: Server, tmp_path: Path) -> None:
    for name in NAMES:
        push(helm, server, tmp_path, name)
    environment = {**os.environ, "NKSMESH_CACHE": str(tmp_path / "cache"), "NKSMESH_HELM": helm}
    home, folder = tmp_path / "home", tmp_path / "vendored"

    def ran(*arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
        command = [sys.executable, "-m", "nksmesh", *arguments, "-o", "json"]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return json.loads(ended.stdout), ended.stdout

    ran("init", str(home))
    at_home = ("--dir", str(home))
    assert "pins no chart" in ran("charts", "verify", *at_home, code=2)[1]
    locked, _ = ran("charts", "lock", "--version", "1.20.0", "--charts", ref(server).source, *at_home)
    assert [row["manifest"] for row in locked["data"]["charts"]] == [manifest_of(server, name)[0] for name in NAMES]
    vendored, _ = ran("charts", "vendor", str(folder), *at_home)
    assert [row["file"] for row in vendored["data"]["charts"]] == [f"{name}-1.20.0.tgz" for name in NAMES]
    clash = ran("charts", "vendor", str(folder), "1.20.0", "-e", "example", *at_home, code=2)[0]
    assert "-e and VERSION" in clash["errors"][0]["message"]
    of_mesh, _ = ran("charts", "vendor", str(tmp_path / "mesh"), "-e", "example", "--charts", str(folder), *at_home)
    assert [row["pinned"] for row in of_mesh["data"]["charts"]] == [True] * 3
    verified, _ = ran("charts", "verify", "1.20.0", "--charts", str(folder), *at_home)
    assert {row["state"] for row in verified["data"]["archives"]} == {"verified"}
    assert verified["data"]["unpinned"] == ["cni 1.20.0", "ztunnel 1.20.0"]
    (folder / "base-1.20.0.tgz").unlink()
    (folder / "evil.tgz").write_bytes(b"x")
    failed, _ = ran("charts", "verify", "1.20.0", "--charts", str(folder), *at_home, code=3)
    states = {row["name"]: row["state"] for row in failed["data"]["archives"]}
    assert (states["base 1.20.0"], states["evil.tgz"]) == ("missing", "foreign")
