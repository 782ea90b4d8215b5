"""``nksmesh istioctl`` as a user runs it: from real registries and from servers with faults, into a cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from tenacity import wait_none

from bench.mirrors import ORAS
from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.mesh_files import MeshFiles
from nksmesh.adapters.istioctl.cache import IstioctlCache
from nksmesh.adapters.registry import requests
from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.commands.istioctl.fetch import FetchOptions, fetch_from_registry
from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from tests.adapters.registry import mirrors
from tests.adapters.registry.artifacts import answers, artifact
from tests.adapters.registry.faulty import Answer, Asked, digest_of, faulty
from tests.adapters.registry.mirrors import environment, raw, running, skopeo
from tests.adapters.registry.relay import relay
from tests.adapters.registry.servers import Server
from tests.istio_archives import VERSION, archive, names_in, program
from tests.loopback import QuietHandler, serving

NAME: Final = f"istio-{VERSION}-linux-amd64.tar.gz"
FOLDER: Final = f"istio-{VERSION}-linux-amd64"
LARGE: Final = archive(istioctl=program(content=os.urandom(3_000_000)))


def run(command: list[str], env: dict[str, str], *, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program where there is no charts.lock: nothing is pinned there."""
    return mirrors.run(command, env, code=code, cwd=Path(env["HOME"]))


def istioctl(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nksmesh", "istioctl", *arguments]


def fetch(*arguments: str) -> list[str]:
    return istioctl("fetch", "--version", VERSION, "-o", "json", *arguments)


def said(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return dict(json.loads(ended.stdout)["data"])


def file_in(folder: Path, content: bytes, name: str = NAME) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return str(folder / name)


def cached(env: dict[str, str]) -> list[str]:
    return names_in(Path(env["NKSMESH_CACHE"]) / "istioctl")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "home")


def push(server: Server, hub: str, content: bytes, tmp_path: Path, env: dict[str, str]) -> dict[str, Any]:
    return said(run(istioctl("push", file_in(tmp_path, content), "--to", f"{server.host}/{hub}", "-o", "json"), env))


def test_what_was_pushed_is_fetched_pinned_and_found_again(
    open_registry: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    content, hub = archive(), f"{open_registry.host}/whole"
    pushed = push(open_registry, "whole", content, tmp_path, env)
    assert pushed["artifact"]["image"] == f"{hub}/istioctl-tool:{VERSION}"
    assert (pushed["artifact"]["verified"], pushed["files"]) == (True, [NAME])
    assert pushed["next_command"] == f"nksmesh istioctl fetch --hub {hub} --version {VERSION}"
    again = push(open_registry, "whole", content, tmp_path, env)
    assert (again["artifact"]["state"], again["artifact"]["digest"]) == ("there", pushed["artifact"]["digest"])

    mesh = tmp_path / "mesh"
    (mesh / "values").mkdir(parents=True)
    (mesh / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    command = fetch("--hub", hub, "--dir", str(mesh))
    refused = run([*command, "--locked"], env, code=3)
    assert "is not pinned in" in refused.stderr
    found = said(run(command, env))
    assert (found["pinned"], found["fetched"], found["digest"]) == (True, True, digest_of(content))
    assert Path(found["program"]).read_bytes() == program()
    assert (Path(found["samples"]) / "bookinfo").is_dir()
    assert hashlib.sha256(content).hexdigest() in (mesh / "charts.lock").read_text()
    assert pushed["artifact"]["digest"].removeprefix("sha256:") in (mesh / "charts.lock").read_text()

    before = len(open_registry.requests)
    found = said(run([*command, "--locked"], env))
    assert (found["pinned"], found["fetched"], len(open_registry.requests)) == (True, False, before)

    push_other = istioctl("push", file_in(tmp_path, archive(more={f"istio-{VERSION}/x": b"x"})), "--to", hub)
    assert "exists, and is another image" in run(push_other, env, code=3).stderr
    run([*push_other, "--overwrite"], env)
    run(istioctl("fetch", "--hub", hub, "--version", VERSION), env)
    changed = run(command, env, code=3)
    assert f"{NAME} from {hub} is not the archive that {mesh / 'charts.lock'} pins" in changed.stderr


def test_one_artifact_has_the_archives_of_all_platforms(
    open_registry: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    names = {kind: f"istio-{VERSION}-{kind}.tar.gz" for kind in ("linux-amd64", "linux-arm64")}
    files = [file_in(tmp_path, archive(platform=kind), name) for kind, name in names.items()]
    to = f"{open_registry.host}/both"
    pushed = said(run(istioctl("push", *files, "--to", to, "-o", "json"), env))
    assert pushed["files"] == sorted(names.values())
    this = f"linux-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}"
    assert said(run(fetch("--hub", to), env))["digest"] == digest_of(archive(platform=this))

    older = file_in(tmp_path, archive("1.19.0"), "istio-1.19.0-linux-amd64.tar.gz")
    refused = run(istioctl("push", files[0], older, "--to", to), env, code=2)
    assert f"the files are of Istio 1.19.0, {VERSION}" in refused.stderr
    assert "a file is given twice" in run(istioctl("push", files[0], files[0], "--to", to), env, code=2).stderr
    other = file_in(tmp_path, archive(platform="linux-arm64"), names["linux-amd64"])
    refused = run(istioctl("push", other, "--to", f"{to}/other"), env, code=3)
    assert "is for linux-arm64, and linux-amd64 is needed" in refused.stderr


def test_an_own_registry_may_have_a_version_that_the_catalog_does_not(
    open_registry: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    later, hub = "1.99.0-rc.1", f"{open_registry.host}/later"
    pushed = said(
        run(
            istioctl(
                *("push", file_in(tmp_path, archive(later), f"istio-{later}-linux-amd64.tar.gz")),
                *("--to", hub, "-o", "json"),
            ),
            env,
        )
    )
    command = pushed["next_command"].split()
    assert said(run([sys.executable, "-m", *command, "-o", "json"], env))["version"] == later
    refused = run(istioctl("fetch", "--region", "kr1", "--version", later), env, code=7)
    assert f"the registry of region kr1 does not provide Istio {later}" in refused.stderr


def test_others_read_it_as_oras_writes_it(open_registry: Server, tmp_path: Path, env: dict[str, str]) -> None:
    content = archive()
    push(open_registry, "form", content, tmp_path, env)
    manifest = raw(open_registry, "form/istioctl-tool", VERSION)
    (layer,) = manifest["layers"]
    assert layer["annotations"] == {"org.opencontainers.image.title": NAME}
    assert (layer["digest"], layer["size"]) == (digest_of(content), len(content))
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    image = f"docker://{open_registry.host}/form/istioctl-tool:{VERSION}"
    skopeo("copy", "--src-tls-verify=false", image, f"dir:{tmp_path / 'out'}")
    assert (tmp_path / "out" / digest_of(content).removeprefix("sha256:")).read_bytes() == content


def test_oras_gets_back_what_was_pushed_and_pushes_what_is_fetched(
    open_registry: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    oras = ORAS.folder / "oras"
    if not oras.exists():
        pytest.skip("there is no oras: bench/bench.py builds it")
    content = archive()
    push(open_registry, "for-oras", content, tmp_path, env)
    artifact = f"istioctl-tool:{VERSION}"
    pull = [str(oras), "pull", "--plain-http", "-o", str(tmp_path / "out")]
    run([*pull, f"{open_registry.host}/for-oras/{artifact}"], env)
    assert (tmp_path / "out" / NAME).read_bytes() == content

    hub = f"{open_registry.host}/by-oras"
    subprocess.run([oras, "push", "--plain-http", f"{hub}/{artifact}", NAME], check=True, cwd=tmp_path, env=env)
    assert said(run(fetch("--hub", hub), env))["digest"] == digest_of(content)
    kept = push(open_registry, "by-oras", content, tmp_path, env)["artifact"]
    assert kept["state"] == "there"  # though oras writes the time into its manifest


def test_a_download_that_broke_off_goes_on_where_it_was(
    open_registry: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    push(open_registry, "large", LARGE, tmp_path, env)
    with relay(open_registry.host) as through:
        through.cut_after = lambda asked: 1_000_000 if "/blobs/" in asked.path else None
        through.answer = lambda asked: Answer(503) if "range" in asked.headers else None
        command = fetch("--hub", f"{through.host}/large")
        broken = run(command, env, code=3)
        assert "the server says 503" in broken.stderr
        parts = [name for name in cached(env) if name.endswith(".part")]
        assert len(cached(env)) == len(parts) == 1
        came = (Path(env["NKSMESH_CACHE"]) / "istioctl" / parts[0]).stat().st_size
        assert came > 0
        through.answer = through.cut_after = lambda _: None
        through.asked.clear()
        assert said(run(command, env))["fetched"] is True
        (first,) = [asked.headers["range"] for asked in through.asked if "/blobs/" in asked.path]
        assert first == f"bytes={came}-"
    assert cached(env) == [FOLDER, f"{FOLDER}.json", "last"]


def test_a_tampered_artifact_leaves_nothing(open_registry: Server, tmp_path: Path, env: dict[str, str]) -> None:
    push(open_registry, "spoilt", LARGE, tmp_path, env)
    with relay(open_registry.host) as through:
        through.corrupt = {digest_of(LARGE)}
        ended = run(fetch("--hub", f"{through.host}/spoilt"), env, code=3)
    assert "is not what the digest names" in ended.stderr
    assert cached(env) == []


def test_a_bad_archive_in_a_good_artifact_is_refused(env: dict[str, str]) -> None:
    for name, content, words in (
        ("outside", archive(more={"../evil": b"x"}), "holds '../evil', a path that leads outside"),
        ("link", archive(links={f"istio-{VERSION}/evil": "/etc/passwd"}), "which is a link"),
        ("plain", b"no archive", "is not a whole .tar.gz archive"),
        ("machine", archive(istioctl=program("linux-arm64")), "is for linux-arm64, and linux-amd64 is needed"),
    ):
        with artifact({NAME: content}) as host:
            ended = run(fetch("--hub", f"{host}/{name}"), env, code=3)
        assert words in ended.stderr
        assert f"{NAME} from {host}/{name}" in ended.stderr
    assert cached(env) == []


def test_an_artifact_of_another_platform_is_named(env: dict[str, str]) -> None:
    with artifact({f"istio-{VERSION}-linux-arm64.tar.gz": b"x"}) as host:
        ended = run(fetch("--hub", f"{host}/istio"), env, code=3)
    assert f"does not have {NAME}, which this machine needs: it has istio-{VERSION}-linux-arm64.tar.gz" in ended.stderr
    assert cached(env) == []


def test_an_artifact_that_is_not_there_names_the_next_step(open_registry: Server, env: dict[str, str]) -> None:
    ended = run(fetch("--hub", f"{open_registry.host}/none"), env, code=3)
    assert f"{open_registry.host}/none/istioctl-tool:{VERSION} does not exist" in ended.stderr
    assert "--from release or --from FILE" in ended.stderr


def test_a_registry_that_wants_a_login_names_the_command(basic_registry: Server, env: dict[str, str]) -> None:
    env["SSL_CERT_FILE"] = str(basic_registry.authority)
    ended = run(fetch("--hub", f"{basic_registry.host}/istio"), env, code=3)
    assert f"nksmesh registry login {basic_registry.host}" in ended.stderr


def test_a_registry_that_hangs_is_left_by_ctrl_c_and_nothing_stays(env: dict[str, str]) -> None:
    def silent_blobs(asked: Asked) -> Answer:
        return Answer(silent=True) if "/blobs/" in asked.path else answers({NAME: LARGE}, asked)

    with faulty(silent_blobs) as server:
        with running(fetch("--hub", f"{server.host}/istio"), env) as process:
            while not any("/blobs/" in asked.path for asked in server.asked):
                assert process.poll() is None
            process.send_signal(2)
            _, err = process.communicate(timeout=20)
        assert process.returncode == 130
    assert "interrupted by Ctrl-C" in err
    assert cached(env) == []


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
async def test_a_registry_that_hangs_ends_the_fetch(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.http.SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(requests, "wait_exponential", lambda **_: wait_none())
    monkeypatch.setattr(requests, "wait_random", lambda *_: wait_none())
    (tmp_path / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    catalog = MeshFiles(folders=ValuesFolders(user=None)).catalog()
    how = FetchOptions(platform="linux-amd64", locks=LockFile(tmp_path / "charts.lock"), pin=True)

    def hanging(asked: Asked) -> Answer:
        return Answer(silent=True) if part in asked.path else answers({NAME: archive()}, asked)

    with faulty(hanging) as server:
        hub = f"{server.host}/istio"
        request = MeshRequest(options=Request(hub=hub, version=VERSION), catalog=catalog)
        registries = Registries({}, Credentials({}, config=None, hub_host=server.host))
        with pytest.raises(ImageError, match="no answer for 0 s"):
            await fetch_from_registry(
                request, None, lambda _: registries, IstioctlCache(tmp_path), how, listener=unheard
            )
    assert names_in(tmp_path / "istioctl") == []
    assert "istioctl" not in (tmp_path / "charts.lock").read_text()


def test_a_bundles_istioctl_is_pushed_with_it(open_registry: Server, tmp_path: Path, env: dict[str, str]) -> None:
    content = archive()
    charts = Path(__file__).resolve().parents[3] / "examples" / "charts"
    helm = Path(sys.executable).with_name("helm")
    for name in ("base", "istiod", "gateway"):
        run([str(helm), "package", str(charts / name), "-d", str(tmp_path / "charts")], env)
    create = [sys.executable, "-m", "nksmesh", "bundle", "create", "--charts", str(tmp_path / "charts")]
    mesh = ["--hub", "registry.example.com/istio", "--version", VERSION, "--istioctl"]
    run([*create, str(tmp_path / "a.tar"), *mesh, file_in(tmp_path, content)], env)
    to = ["--to", f"{open_registry.host}/bundled", "-o", "json"]
    pushed = said(run([sys.executable, "-m", "nksmesh", "bundle", "push", str(tmp_path / "a.tar"), *to], env))
    assert [image["image"] for image in pushed["images"]] == [f"{open_registry.host}/bundled/istioctl-tool:{VERSION}"]
    found = said(run(fetch("--hub", f"{open_registry.host}/bundled"), env))
    assert (found["digest"], found["manifest"]) == (digest_of(content), pushed["images"][0]["digest"])

    run([*create, str(tmp_path / "b.tar"), *mesh, file_in(tmp_path, content, "istioctl.tgz")], env)
    ended = run([sys.executable, "-m", "nksmesh", "bundle", "push", str(tmp_path / "b.tar"), *to], env, code=2)
    assert "has no images" in ended.stderr


@dataclass
class Releases:
    """A server with the layout of Istio's releases.

    Attributes:
        files: What it has, by path.
        cut: Bytes after which it hangs up, once.
        asked: The paths and ranges that it was asked for.
        ranges: It knows ranges.
    """

    files: dict[str, bytes]
    url: str = ""
    cut: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True


@contextmanager
def releases(content: bytes, checksum: str = "") -> Iterator[Releases]:
    """Serve one release."""
    path = f"/istio/releases/download/{VERSION}/{NAME}"
    line = f"{checksum or hashlib.sha256(content).hexdigest()} {NAME}\n"
    server = Releases({path: content, f"{path}.sha256": line.encode()})

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append((self.path, wanted))
            content = server.files.get(self.path)
            begun = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if server.ranges else 0
            code = 404 if content is None else 416 if begun and begun >= len(content) else 206 if begun else 200
            body = (content or b"")[begun:] if code in {200, 206} else b""
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            if code == 206:
                self.send_header("Content-Range", f"bytes {begun}-{len(content or b'') - 1}/{len(content or b'')}")
            self.end_headers()
            cut, server.cut = (server.cut, 0) if not self.path.endswith(".sha256") else (0, server.cut)
            self.wfile.write(body[:cut] if cut else body)
            self.close_connection = bool(cut)

    with serving(Handler) as opened:
        server.url = f"http://127.0.0.1:{opened.server_port}/istio/releases/download"
        yield server


def test_a_release_is_held_against_its_published_checksum(env: dict[str, str]) -> None:
    with releases(archive()) as server:
        found = said(run(fetch("--from", server.url), env))
        assert (found["digest"], found["source"], found["manifest"]) == (digest_of(archive()), server.url, "")
        assert said(run(fetch("--from", server.url), env))["fetched"] is False
        assert [path.rpartition("/")[2] for path, _ in server.asked] == [f"{NAME}.sha256", NAME, f"{NAME}.sha256"]


def test_a_release_with_another_checksum_is_refused(env: dict[str, str]) -> None:
    with releases(archive(), checksum="1" * 64) as server:
        ended = run(fetch("--from", server.url), env, code=3)
    assert f"{NAME} from {server.url} is not what its digest names" in ended.stderr
    assert "1" * 64 in ended.stderr
    assert cached(env) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_release_that_broke_off_goes_on(ranges: bool, env: dict[str, str]) -> None:
    with releases(LARGE) as server:
        server.cut, server.ranges = 1_000_000, ranges
        ended = run(fetch("--from", server.url), env, code=3)
        assert f"{NAME} could not be downloaded" in ended.stderr
        assert len(cached(env)) == 1
        assert said(run(fetch("--from", server.url), env))["digest"] == digest_of(LARGE)
        assert server.asked[-1][1].startswith("bytes=")
    assert cached(env) == [FOLDER, f"{FOLDER}.json", "last"]


def test_a_release_that_is_not_there_is_named_without_a_password(env: dict[str, str]) -> None:
    with releases(archive()) as server:
        url = server.url.replace("http://", "http://kim:pa55@") + "/elsewhere"
        ended = run(fetch("--from", url), env, code=3)
    assert "the server says 404" in ended.stderr
    assert "pa55" not in ended.stdout + ended.stderr
    assert cached(env) == []


def test_a_file_is_taken_as_it_is(tmp_path: Path, env: dict[str, str]) -> None:
    file = file_in(tmp_path, archive())
    found = said(run(istioctl("fetch", "--from", file, "-o", "json"), env))
    assert (found["version"], found["source"], found["pinned"]) == (VERSION, file, False)
    other = run(istioctl("fetch", "--from", file, "--version", "1.19.0"), env, code=3)
    assert "it is another version" in other.stderr
    unnamed = file_in(tmp_path, archive(), "istio.tar.gz")
    assert "Pass --version X.Y.Z" in run(istioctl("fetch", "--from", unnamed), env, code=2).stderr
    assert said(run(fetch("--from", unnamed), env))["fetched"] is False
    gone = run(istioctl("fetch", "--from", str(tmp_path / "gone" / NAME)), env, code=2)
    assert "cannot be read: No such file or directory" in gone.stderr
    assert cached(env) == [FOLDER, f"{FOLDER}.json", "last"]
