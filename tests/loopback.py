"""An HTTP server on loopback for the time of a test."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that writes nothing into a test's output."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are sent apart: each answer would wait 40 ms for the client

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients of these tests hang up."""


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], trust: ssl.SSLContext | None = None
) -> Iterator[ThreadingHTTPServer]:
    """Serve on a free port while the block runs; with TLS where there is a context for it."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if trust:
            server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
