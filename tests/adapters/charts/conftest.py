"""A Helm repository for each test: a real server on loopback, with and without TLS, and a proxy before it."""

from __future__ import annotations

import datetime as dt
import gzip
import http.server
import io
import select
import socket
import socketserver
import ssl
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nksmesh.adapters.charts.store import ChartStore
from tests.loopback import QuietHandler, serving

HOST = "charts.test"
"""The repository's name in its certificate. No resolver knows it: only the proxy leads there."""


def pack(name: str = "base", version: str = "1.20.0", values: str = "global: {}\n") -> bytes:
    """A chart's archive."""
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: {version}\n",
        "values.yaml": values,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file, text in files.items():
            info = tarfile.TarInfo(f"{name}/{file}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def page(content: bytes, **headers: str) -> Answer:
    """Answer with a page that has headers of its own."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and nothing else."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


def in_turn(*answers: bytes | Answer) -> Answer:
    """Answer the first request with the first, the last and all after it with the last."""
    left = list(answers)

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        now = left.pop(0) if len(left) > 1 else left[0]
        (now if callable(now) else page(now))(request)

    return answer


def broken_off(content: bytes) -> Answer:
    """Promise a page, and break off in the middle of it."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])
        request.close_connection = True

    return answer


@dataclass
class Site:
    """What a server serves: bytes, or a function that answers by itself; and what it was asked."""

    pages: dict[str, bytes | Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""

    pack = staticmethod(pack)
    page = staticmethod(page)
    status = staticmethod(status)
    in_turn = staticmethod(in_turn)
    broken_off = staticmethod(broken_off)

    def add(self, *charts: tuple[str, str], at: str = "", **entry: Any) -> None:
        """Serve charts, and an index of them whose URLs start with ``at``."""
        entries: dict[str, list[dict[str, Any]]] = {}
        for name, version in charts:
            self.pages[f"/charts/{name}-{version}.tgz"] = pack(name, version)
            urls = [f"{at}{name}-{version}.tgz"]
            entries.setdefault(name, []).append({"name": name, "version": version, "urls": urls, **entry})
        self.pages["/charts/index.yaml"] = yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no bundle of this machine's."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of the cache."""
    return tmp_path / "cache"


@pytest.fixture
def store(cache: Path) -> ChartStore:
    """A store with a cache of its own."""
    return ChartStore(cache=cache)


def served(site: Site, trust: ssl.SSLContext | None = None) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serve a site while a test runs."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.authorizations.append(self.headers.get("Authorization"))
            found = site.pages.get(self.path.partition("?")[0], status(404))
            (found if callable(found) else page(found))(self)

    with serving(Handler, trust) as server:
        yield server


@pytest.fixture
def site() -> Iterator[Site]:
    """A repository over HTTP."""
    site = Site()
    for server in served(site):
        site.url = f"http://127.0.0.1:{server.server_port}/charts"
        yield site


@pytest.fixture
def other_site() -> Iterator[Site]:
    """Another server."""
    site = Site()
    for server in served(site):
        site.url = f"http://127.0.0.1:{server.server_port}/charts"
        yield site


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate authority's PEM file, and the certificate and key of HOST it has signed."""
    folder = tmp_path_factory.mktemp("authority")
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, by: str, *, is_ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    signed = certificate("test authority", root, "test authority", is_ca=True).sign(root, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    site = certificate(HOST, leaf, "test authority", is_ca=False).add_extension(names, critical=False)
    (folder / "authority.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "site.pem").write_bytes(
        leaf.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + site.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return folder / "authority.pem", folder / "site.pem"


@dataclass
class Proxy:
    """A proxy that leads every host to one server; the password it wants, and what it was asked."""

    url: str
    target: int
    wants: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def secure_site(authority: tuple[Path, Path]) -> Iterator[tuple[Site, Proxy]]:
    """A repository over HTTPS that only a proxy leads to."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(authority[1])
    site = Site(url=f"https://{HOST}/charts")
    for server in served(site, trust):
        proxy = Proxy(url="", target=server.server_port)
        for proxying in proxied(proxy):
            proxy.url = f"127.0.0.1:{proxying.server_address[1]}"
            yield site, proxy


def proxied(proxy: Proxy) -> Iterator[socketserver.ThreadingTCPServer]:
    """Run a proxy while a test runs."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, target, _ = self.rfile.readline().decode().split()
            headers = [line.decode().strip() for line in iter(self.rfile.readline, b"\r\n")]
            proxy.asked.append(f"{method} {target}")
            if proxy.wants and f"proxy-authorization: {proxy.wants}" not in (_lower_name(line) for line in headers):
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", proxy.target)) as upstream:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                ends = {self.connection: upstream, upstream: self.connection}
                while ready := select.select(list(ends), [], [], 10)[0]:
                    for end in ready:
                        data = end.recv(65536)
                        if not data:
                            return
                        ends[end].sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients of these tests hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _lower_name(line: str) -> str:
    name, _, value = line.partition(":")
    return f"{name.lower()}:{value}"
