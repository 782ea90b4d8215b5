"""Programs that come prebuilt: from a server with the layout of their projects' own, good and bad."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.sandbox import go_build, programs
from nksmesh.sandbox.builds import CACHE_VARIABLE, KWOK, Host, control_plane
from nksmesh.sandbox.programs import Source
from nksmesh.sandbox.published import Publishers
from nksmesh.sandbox.releases import Kubernetes
from tests.loopback import QuietHandler, serving

BUILD = control_plane(Kubernetes.V1_34)
NAMES = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
SERVERS = "/release/v1.34.4/bin/linux/{arch}"
ETCD = "/etcd-io/etcd/releases/download/v3.6.4"
ARCHIVE = "etcd-v3.6.4-linux-{arch}"
GO = """#!/bin/sh
case "$1" in
env) echo go1.26.0; exit ;;
esac
for a in "$@"; do case "$a" in -o=*) for n in server kube-apiserver kube-controller-manager kube-scheduler kwok; do
  echo built > "${a#-o=}$n"
done ;; esac; done
"""


def archive(member: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as file:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def published(arch: str = "amd64") -> dict[str, bytes]:
    """Lay out what both projects publish, with checksums as each writes them."""
    files: dict[str, bytes] = {}
    for name in NAMES - {"etcd"}:
        content = f"{name} for {arch}".encode() * 1000
        files[f"{SERVERS.format(arch=arch)}/{name}"] = content
        files[f"{SERVERS.format(arch=arch)}/{name}.sha256"] = digest(content).encode()
    folder = ARCHIVE.format(arch=arch)
    packed = archive(f"{folder}/etcd", f"etcd for {arch}".encode())
    files[f"{ETCD}/{folder}.tar.gz"] = packed
    other = f"{digest(b'other')}  etcd-v3.6.4-darwin-{arch}.zip\n"
    files[f"{ETCD}/SHA256SUMS"] = f"{other}{digest(packed)}  {folder}.tar.gz\n".encode()
    return files


class Handler(QuietHandler):
    files: ClassVar[dict[str, bytes]] = {}
    cut: ClassVar[str] = ""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: len(content or b"") // 2 if self.path.endswith(self.cut or "\0") else None])
        self.close_connection = bool(self.cut)


@pytest.fixture
def handler() -> type[Handler]:
    class Fresh(Handler):
        files: ClassVar[dict[str, bytes]] = published()
        asked: ClassVar[list[str]] = []

    return Fresh


def publishers_at(address: str, machine: str = "x86_64") -> Publishers:
    return Publishers({Host.KUBERNETES: address, Host.GITHUB: address}, machine=machine)


@pytest.fixture
def address(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with serving(handler) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a Go that builds at once what says that it was built."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "go").write_text(GO)
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path / "cache"


def left_in(cache: Path) -> list[str]:
    return [path.name for path in (cache / "programs").iterdir() if not path.name.endswith(".lock")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def built(folder: Path) -> bool:
    found = contents(folder)
    return found.keys() >= NAMES and set(found.values()) == {b"built\n"}


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_programs_are_downloaded_and_go_is_not_needed(
    address: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(go_build, "_packaged_go", lambda: None)
    heard: list[Event] = []
    folder = await programs.ensure(BUILD, heard.append, publishers=publishers_at(address))
    assert contents(folder) == {
        name: b"etcd for amd64" if name == "etcd" else f"{name} for amd64".encode() * 1000 for name in NAMES
    }
    assert modes(folder) == {0o755}
    assert left_in(cache) == [BUILD.key]
    assert [event.kind for event in heard if event.kind is not EventKind.PROGRESS] == [
        EventKind.STARTED,
        EventKind.DONE,
    ]
    assert {event.step for event in heard} == {"download the programs of Kubernetes 1.34.4"}


async def test_each_processor_gets_its_own(handler: type[Handler], address: str) -> None:
    handler.files = published("arm64")
    folder = await programs.ensure(BUILD, publishers=publishers_at(address, "aarch64"))
    assert contents(folder)["etcd"] == b"etcd for arm64"
    assert all("arm64" in path or path.endswith("SHA256SUMS") for path in handler.asked)


@pytest.mark.parametrize(
    "path", [f"{SERVERS}/kube-scheduler".format(arch="amd64"), f"{ETCD}/{ARCHIVE}.tar.gz".format(arch="amd64")]
)
async def test_another_file_than_was_published_is_an_error_and_nothing_is_used(
    handler: type[Handler], address: str, cache: Path, path: str
) -> None:
    handler.files[path] = b"something else"
    with pytest.raises(ClusterError, match=r"Kubernetes 1\.34\.4 are not what was published") as refused:
        await programs.ensure(BUILD, publishers=publishers_at(address))
    assert f"{path} has the SHA-256 {digest(b'something else')}" in refused.value.detail
    assert "nksmesh sandbox build --from go" in refused.value.hint
    assert left_in(cache) == []


async def built_after(heard: list[Event], publishers: Publishers) -> str:
    """Ask for programs that cannot be downloaded: they are built, and the reason is told."""
    folder = await programs.ensure(BUILD, heard.append, publishers=publishers)
    assert built(folder)
    (told,) = [event.message for event in heard if event.kind is EventKind.WARNING]
    assert told.endswith("; they are built with Go")
    return told


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        (f"{SERVERS}/kube-apiserver".format(arch="amd64"), "the server says 404"),
        (f"{SERVERS}/kube-apiserver.sha256".format(arch="amd64"), "the server says 404"),
        (f"{ETCD}/SHA256SUMS", "the server says 404"),
    ],
)
async def test_what_is_not_published_is_built(handler: type[Handler], address: str, absent: str, words: str) -> None:
    del handler.files[absent]
    told = await built_after([], publishers_at(address))
    assert absent in told
    assert words in told


async def test_a_download_that_is_cut_off_is_built(handler: type[Handler], address: str) -> None:
    handler.cut = "/kube-controller-manager"
    assert "kube-controller-manager: the response was cut off" in await built_after([], publishers_at(address))


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"0123  name", digest(b"x").encode() + b"  another.tar.gz", b"\xff" * 64]
)
async def test_checksums_that_are_none_are_not_trusted(handler: type[Handler], address: str, text: bytes) -> None:
    handler.files[f"{ETCD}/SHA256SUMS"] = text
    assert "has no checksum of etcd-v3.6.4-linux-amd64.tar.gz" in await built_after([], publishers_at(address))


async def test_an_endless_list_of_checksums_is_not_read(handler: type[Handler], address: str) -> None:
    handler.files[f"{ETCD}/SHA256SUMS"] = b"x" * 1_000_000
    assert "it is too long" in await built_after([], publishers_at(address))


@pytest.mark.parametrize("packed", [b"no archive", archive("etcd-v3.6.4-linux-amd64/README.md", b"x")])
async def test_an_archive_without_the_program_is_built(handler: type[Handler], address: str, packed: bytes) -> None:
    name = ARCHIVE.format(arch="amd64")
    handler.files[f"{ETCD}/{name}.tar.gz"] = packed
    handler.files[f"{ETCD}/SHA256SUMS"] = f"{digest(packed)} *{name}.tar.gz".encode()
    assert f"has no {name}/etcd" in await built_after([], publishers_at(address))


async def test_without_a_connection_programs_are_built(handler: type[Handler]) -> None:
    with serving(handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    assert "cannot be reached" in await built_after([], publishers_at(address))


async def test_a_processor_that_nothing_is_published_for(address: str, handler: type[Handler]) -> None:
    assert "no programs are published for riscv64" in await built_after([], publishers_at(address, "riscv64"))
    assert handler.asked == []


async def test_go_is_used_where_it_is_asked_for(address: str, handler: type[Handler]) -> None:
    folder = await programs.ensure(BUILD, source=Source.GO, publishers=publishers_at(address))
    assert built(folder)
    assert handler.asked == []


async def test_without_a_connection_and_without_go(
    address: str, handler: type[Handler], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler.files.clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(go_build, "_packaged_go", lambda: None)
    with pytest.raises(ConfigError, match=r"Go 1\.24 or later was not found"):
        await programs.ensure(BUILD, publishers=publishers_at(address))
    assert left_in(cache) == []


async def test_what_has_no_published_checksum_is_never_downloaded(address: str, handler: type[Handler]) -> None:
    assert KWOK.published == {}
    folder = await programs.ensure(KWOK, publishers=publishers_at(address))
    assert contents(folder)["kwok"] == b"built\n"
    assert handler.asked == []
