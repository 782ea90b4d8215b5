"""What stands between a client and a real registry: it counts what passes, and spoils what a test wants spoilt."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.adapters.registry.faulty import Answer, Asked
from tests.loopback import QuietHandler, serving

_PIECE: Final = 64 * 1024
_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length"})


@dataclass
class Relay:
    """A registry as it is seen through a relay.

    Attributes:
        host: Its address, as images name it.
        answer: Answers a request in the registry's place; None lets it through.
        rewrite: Makes another path of a request's.
        cut_after: Bytes after which a blob's download, or upload, is cut; None lets all through.
        drop_headers: Headers of a request that the registry does not get.
        corrupt: Blobs whose first byte is turned.
        asked: The requests so far.
        down: Bytes of each blob that clients read.
        up: Bytes of each blob that clients sent.
        written: Told of each blob that was written, before its client is.
    """

    upstream: str
    host: str = ""
    answer: Callable[[Asked], Answer | None] = lambda _: None
    rewrite: Callable[[str], str] = lambda path: path
    cut_after: Callable[[Asked], int | None] = lambda _: None
    drop_headers: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    down: dict[str, int] = field(default_factory=dict)
    up: dict[str, int] = field(default_factory=dict)
    written: Callable[[str], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _busy: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Count a request that is under way."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def rest(self) -> None:
        """Wait until nothing is under way: what a killed client has sent may pass a while after it."""
        with self._idle:
            assert self._idle.wait_for(lambda: not self._busy, timeout=60)

    def count(self, bytes_of: dict[str, int], blob: str, size: int) -> None:
        """Add to what passed of a blob, from any thread."""
        with self._lock:
            bytes_of[blob] = bytes_of.get(blob, 0) + size

    def forget(self) -> None:
        """Begin to count again."""
        self.asked.clear()
        self.down.clear()
        self.up.clear()

    def methods(self, part: str) -> list[str]:
        """The methods of the requests so far whose path has a part."""
        return [asked.method for asked in self.asked if part in asked.path]


class _Handler(QuietHandler):
    shared: Relay

    def handle_one(self) -> None:
        with self.shared.passing():
            self._handle()

    def _handle(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): text for name, text in self.headers.items()})
        self.shared.asked.append(asked)
        said = self.shared.answer(asked)
        if said is None:
            self._pass_on(asked, self.shared.cut_after(asked))
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(said.status)
        for name, text in {**said.headers, "Content-Length": str(len(said.body))}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body)

    def _pass_on(self, asked: Asked, most: int | None) -> None:
        with closing(http.client.HTTPConnection(self.shared.upstream, timeout=30)) as connection:
            path = self.shared.rewrite(self.path)
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, text in self.headers.items():
                if name.lower() not in self.shared.drop_headers:
                    connection.putheader(name, text)
            connection.endheaders()
            digest = "".join(parse_qs(urlsplit(path).query).get("digest", [])) if asked.method == "PUT" else ""
            if not self._upload(connection, digest, most):
                self.close_connection = True
                return
            said = connection.getresponse()
            if digest and said.status == http.client.CREATED:
                self.shared.written(digest)
            self.send_response(said.status)
            for name, text in said.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, text)
            self.send_header("Content-Length", said.getheader("Content-Length") or "0")
            self.end_headers()
            self._download(asked, said, most)

    def _upload(self, connection: http.client.HTTPConnection, digest: str, most: int | None) -> bool:
        """Send on what comes; tell whether all of it came and went."""
        left, sent = int(self.headers.get("Content-Length") or 0), 0
        while left and (piece := self.rfile.read(min(_PIECE, left))):
            left, sent = left - len(piece), sent + len(piece)
            self.shared.count(self.shared.up, digest, len(piece))
            if digest and most is not None and sent > most:
                return False
            connection.send(piece)
        return not left

    def _download(self, asked: Asked, said: http.client.HTTPResponse, most: int | None) -> None:
        blob = asked.path.partition("/blobs/")[2] if asked.method == "GET" else ""
        sent = 0
        while self.command != "HEAD" and (piece := said.read(_PIECE)):
            turned = bytes([piece[0] ^ 1]) + piece[1:] if blob in self.shared.corrupt and not sent else piece
            sent += len(piece)
            self.shared.count(self.shared.down, blob, len(piece))
            self.wfile.write(turned)
            if blob and most is not None and sent > most:
                self.close_connection = True
                return

    do_HEAD = do_GET = do_POST = do_PUT = do_PATCH = handle_one


@contextmanager
def relay(upstream: str) -> Iterator[Relay]:
    """Relay to a registry on loopback until the test is over."""
    shared = Relay(upstream)
    with serving(type("Handler", (_Handler,), {"shared": shared})) as server:
        shared.host = f"127.0.0.1:{server.server_port}"
        yield shared
