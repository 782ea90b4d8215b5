"""A registry with one fault: a small HTTP server on loopback that answers as a test tells it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.adapters.registry.servers import INDEX, MANIFEST, certificates
from tests.loopback import QuietHandler, serving

DIGEST = "docker-content-digest"


@dataclass(frozen=True)
class Answer:
    """What a server says.

    Attributes:
        cut: It hangs up in the middle of the body.
        silent: It never says anything.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str = ""


@dataclass
class Faulty:
    """A server with a fault.

    Attributes:
        host: Its address, as images name it.
        authority: Its certificate authority where it speaks TLS.
        answer: What it says to a request.
        asked: The requests so far.
    """

    answer: Callable[[Asked], Answer]
    host: str = ""
    authority: Path | None = None
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address with a scheme."""
        return f"{'https' if self.authority else 'http'}://{self.host}"

    def methods(self) -> list[str]:
        """The methods of the requests so far."""
        return [asked.method for asked in self.asked]


def digest_of(body: bytes) -> str:
    """Name bytes as registries do."""
    return "sha256:" + sha256(body).hexdigest()


IMAGE = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}).encode()
LISTED = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{"digest": digest_of(IMAGE), "platform": {"os": "linux", "architecture": "amd64"}}],
    }
).encode()


def manifest(body: bytes = LISTED, media_type: str = INDEX, **headers: str) -> Answer:
    """Answer with a manifest, as a sound registry does."""
    told = {"Content-Type": media_type, DIGEST: digest_of(body)} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    return Answer(200, body, told)


def failure(status: int, code: str, message: str, **headers: str) -> Answer:
    """Answer with an error in the specification's form."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


@contextmanager
def faulty(answer: Callable[[Asked], Answer], *, tls: Path | None = None) -> Iterator[Faulty]:
    """Serve until the test is over.

    Args:
        answer: What it says to a request.
        tls: A folder for certificates; None for HTTP.
    """
    shared = Faulty(answer)
    over = threading.Event()

    class Handler(QuietHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode(errors="replace")
            asked = Asked(self.command, self.path, {name.lower(): text for name, text in self.headers.items()}, body)
            shared.asked.append(asked)
            said = shared.answer(asked)
            if said.silent:
                over.wait(30)
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, text in said.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body[: len(said.body) // 2] if said.cut else said.body)
                self.close_connection = self.close_connection or said.cut

        do_HEAD = do_GET = do_POST = do_PUT = handle_one

    context = None
    if tls:
        tls.mkdir(parents=True, exist_ok=True)
        shared.authority, files = certificates(tls)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files["certificate"], files["key"])
    with serving(Handler, context) as server:
        shared.host = f"127.0.0.1:{server.server_port}"
        try:
            yield shared
        finally:
            over.set()
