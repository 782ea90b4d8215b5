"""Real registries for tests: Debian's docker-registry on loopback, open, with passwords, or with a token service."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from nksmesh.sandbox.certificates import certificate_pem, issue, make_authority
from tests.loopback import QuietHandler, serving

OCI: Final = "application/vnd.oci.image"
INDEX: Final = f"{OCI}.index.v1+json"
MANIFEST: Final = f"{OCI}.manifest.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest"
_LISTENS: Final = re.compile(r"listening on (?:\[::\]|127\.0\.0\.1):(\d+)")
_START_SECONDS: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A registry that runs.

    Attributes:
        host: Its address, as images name it.
        authority: The certificate authority of a TLS registry; None for HTTP.
    """

    host: str
    authority: Path | None = None
    log: Path = field(repr=False)

    @property
    def requests(self) -> list[str]:
        """What it was asked for, as its access log has it."""
        return re.findall(r'"((?:HEAD|GET|PUT|POST) [^ ]+) HTTP', self.log.read_text())


@contextmanager
def registry(
    folder: Path, *, tls: bool = False, auth: Mapping[str, Any] | None = None, on_disk: bool = False
) -> Iterator[Server]:
    """Start a registry that keeps what it has in memory, or below the folder, and stop it in the end."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("there is no docker-registry: apt-get install docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    http: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "of a test"}
    authority = None
    if tls:
        authority, http["tls"] = certificates(folder)
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}} if on_disk else {"inmemory": {}},
        "http": http,
        **({"auth": dict(auth)} if auth else {}),
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=out, stderr=out)
    try:
        yield Server(host=f"127.0.0.1:{_port(log, process)}", authority=authority, log=log)
    finally:
        process.terminate()
        process.wait(10)


def certificates(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make an authority, and a certificate of it for loopback."""
    authority = make_authority("registry tests")
    certificate, key = issue(authority, "registry", hosts=("127.0.0.1", "localhost"))
    for name, pem in (("ca.crt", certificate_pem(authority.certificate)), ("tls.crt", certificate), ("tls.key", key)):
        (folder / name).write_bytes(pem)
    return folder / "ca.crt", {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}


def passwords(folder: Path, users: Mapping[str, str]) -> dict[str, Any]:
    """Let users in by name and password."""
    program = shutil.which("htpasswd")
    if program is None:
        pytest.skip("there is no htpasswd: apt-get install apache2-utils")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        subprocess.run([program, "-nbB", user, password], check=True, capture_output=True, text=True).stdout
        for user, password in users.items()
    ]
    (folder / "htpasswd").write_text("".join(lines))
    return {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := _LISTENS.search(log.read_text()):
            return int(found[1])
        time.sleep(0.02)
    pytest.fail(f"the registry did not start:\n{log.read_text()}")


class TokenService:
    """A token service as distribution describes it: it signs what a user may do (``GET ?service=&scope=``).

    Attributes:
        users: Passwords by name. Without a login, only what is below ``public/`` may be pulled.
        may: What a user may do; everything, where it does not say.
        asked: The scopes that were asked for.
        realm: Where it is, once it is served.
    """

    def __init__(self, folder: Path, users: Mapping[str, str], *, seconds: int = 300) -> None:
        self.users = users
        self.may: dict[str, set[str]] = {}
        self.asked: list[str] = []
        self._seconds = seconds
        folder.mkdir(parents=True, exist_ok=True)
        authority = make_authority("tokens")
        self._key: ec.EllipticCurvePrivateKey = authority.key
        self._certificate = authority.certificate.public_bytes(serialization.Encoding.DER)
        self._bundle = folder / "tokens.crt"
        self._bundle.write_bytes(certificate_pem(authority.certificate))
        self.realm = ""

    @property
    def auth(self) -> dict[str, Any]:
        """The registry's settings that send its clients here."""
        settings = {"service": "tests", "issuer": "tests", "rootcertbundle": str(self._bundle)}
        return {"token": {"realm": self.realm, **settings}}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query)
        self.asked += asked.get("scope", [])
        user, _, password = base64.b64decode(handler.headers.get("Authorization", "")[6:]).decode().partition(":")
        known = bool(user) and self.users.get(user) == password
        body: dict[str, Any]
        if user and not known:
            body, status = {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}, 401
        else:
            body, status = {"token": self._signed(" ".join(asked.get("scope", [])).split(), user if known else "")}, 200
        data = json.dumps({**body, "expires_in": self._seconds}).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def token(self, scope: str) -> str:
        """Sign a token for a scope, whoever asks."""
        return self._signed([scope], "of tests")

    def _signed(self, scopes: list[str], user: str) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            anybody = {"pull"} if name.startswith("public/") else set()
            may = self.may.get(user, set(actions.split(","))) if user else anybody
            allowed = [action for action in actions.split(",") if action in may]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._certificate).decode()]}
        claims = {"iss": "tests", "sub": "", "aud": "tests", "exp": now + self._seconds, "nbf": now - 10, "iat": now}
        text = ".".join(_url(json.dumps(part).encode()) for part in (head, {**claims, "jti": "1", "access": access}))
        first, second = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_url(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


@contextmanager
def token_service(folder: Path, users: Mapping[str, str]) -> Iterator[TokenService]:
    """Serve a token service while the block runs."""
    service = TokenService(folder, users)

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            service.answer(self)

    with serving(Handler) as server:
        service.realm = f"http://127.0.0.1:{server.server_port}/token"
        yield service


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Pusher:
    """Pushes small images under the names that tests need."""

    server: Server
    headers: Mapping[str, str] = field(default_factory=dict)

    def push(
        self,
        repository: str,
        tag: str,
        *,
        platforms: tuple[str, ...] = (),
        docker: bool = False,
        layers: Sequence[bytes] = (),
    ) -> str:
        """Push one image, or an index with one for each platform and an attestation of it; return the digest.

        Args:
            layers: What each image has beside a small layer of its own.
        """
        manifest, index = (f"{DOCKER}.v2+json", f"{DOCKER}.list.v2+json") if docker else (MANIFEST, INDEX)
        config_type, layer_type = (
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
            if docker
            else (f"{OCI}.config.v1+json", f"{OCI}.layer.v1.tar+gzip")
        )
        verify: Any = ssl.create_default_context(cafile=self.server.authority) if self.server.authority else True
        base = f"{'https' if self.server.authority else 'http'}://{self.server.host}/v2/{repository}"
        with httpx.Client(verify=verify, headers=dict(self.headers), trust_env=False) as http:

            def put(data: bytes, media_type: str, at: str = "") -> dict[str, Any]:
                digest = "sha256:" + hashlib.sha256(data).hexdigest()
                if media_type in {manifest, index}:
                    url = f"{base}/manifests/{at or digest}"
                    http.put(url, content=data, headers={"Content-Type": media_type}).raise_for_status()
                else:
                    where = http.post(f"{base}/blobs/uploads/").raise_for_status().headers["location"]
                    http.put(
                        where, params={**httpx.URL(where).params, "digest": digest}, content=data
                    ).raise_for_status()
                return {"mediaType": media_type, "digest": digest, "size": len(data)}

            def image(platform: str, at: str = "", of: str = "") -> dict[str, Any]:
                system, _, architecture = platform.partition("/")
                layer = put(gzip.compress(f"{repository} {tag} {platform}{of}".encode(), mtime=0), layer_type)
                config = put(json.dumps({"architecture": architecture, "os": system}).encode(), config_type)
                more = [put(content, layer_type) for content in layers]
                body = {"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": [layer, *more]}
                found = put(json.dumps(body).encode(), manifest, at)
                return {**found, "platform": {"os": system, "architecture": architecture}}

            if not platforms:
                return str(image("linux/amd64", tag)["digest"])
            images = [image(platform) for platform in platforms]
            for of in tuple(images):
                digest = str(of["digest"])
                note = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest}
                images.append({**image("unknown/unknown", of=digest), "annotations": note})
            body = {"schemaVersion": 2, "mediaType": index, "manifests": images}
            return str(put(json.dumps(body).encode(), index, tag)["digest"])
