"""Small HTTP servers in place of the images of Bookinfo (details, ratings, reviews), of curl and of sleep.

Each answers as the program in Istio's samples/bookinfo/src does, and reads the same variables of its environment. It
says what it is in two headers: ``Server``, which a proxy writes over, and ``X-Small-Server``, which none does. The file
is run by its path (``python -I -S server.py NAME HOST PORT``), so it imports nothing of nksmesh.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, Final

Answer = tuple[int, object]

# What Bookinfo's services hand on: tracing, and what is the user's own.
_HANDED_ON: Final = (
    *("x-request-id", "x-ot-span-context", "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority"),
    *("traceparent", "tracestate", "x-cloud-trace-context", "grpc-trace-bin"),
    *("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "sw8"),
    *("end-user", "user-agent", "cookie", "authorization", "jwt"),
)
_TEXTS: Final = {
    "Reviewer1": "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!",
    "Reviewer2": "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by "
    "Shakespeare.",
}
_STOP_SECONDS: Final = 25.0  # less than the 30 that a pod has by default
_TICK_SECONDS: Final = 0.1


class Stopping(threading.Event):
    """Whether the server is to stop, and how many requests it still answers."""

    def __init__(self) -> None:
        super().__init__()
        self._idle = threading.Condition()
        self._open = 0

    def __enter__(self) -> None:
        with self._idle:
            self._open += 1

    def __exit__(self, *_: object) -> None:
        with self._idle:
            self._open -= 1
            self._idle.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no request is open, and tell whether that is so."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._open, seconds)


class Service:
    """One of Bookinfo's services: what it answers to a path."""

    def __init__(self, name: str, variables: Mapping[str, str]) -> None:
        self.name = name
        self.variables = variables

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer GET."""
        name, _, product = path.partition("?")[0].strip("/").partition("/")
        if name == "health":
            return self.health()
        return self.product(product, headers) if name == self.name else not_found()

    def post(self, path: str, body: bytes) -> Answer:
        """Answer POST."""
        del path, body
        return HTTPStatus.METHOD_NOT_ALLOWED, {"error": "Method not allowed"}

    def health(self) -> Answer:
        """Answer to /health."""
        return HTTPStatus.OK, {"status": f"{self.name.capitalize()} is healthy"}

    def product(self, product: str, headers: Mapping[str, str]) -> Answer:
        """Answer for a product, whose id may be no number."""
        raise NotImplementedError


class Details(Service):
    """details.rb without the external book service."""

    def product(self, product: str, headers: Mapping[str, str]) -> Answer:
        """Tell a book's details."""
        del headers
        if not product.isdecimal():
            return HTTPStatus.BAD_REQUEST, {"error": "please provide numeric product id"}
        return HTTPStatus.OK, {
            "id": int(product),
            "author": "William Shakespeare",
            "year": 1595,
            "type": "paperback",
            "pages": 200,
            "publisher": "PublisherA",
            "language": "English",
            "ISBN-10": "1234567890",
            "ISBN-13": "123-1234567890",
        }


class Ratings(Service):
    """ratings.js without a database; SERVICE_VERSION makes it faulty, delayed, unavailable or unhealthy."""

    _PERIODS: Final = {"v-unavailable": 60, "v-unhealthy": 900}  # seconds, in turn well and not
    _DELAY: Final = 7.0  # seconds
    _SHARE: Final = 0.5  # of the requests that are failed, or delayed

    def __init__(self, name: str, variables: Mapping[str, str]) -> None:
        super().__init__(name, variables)
        self._added: dict[int, object] = {}
        self._version = variables.get("SERVICE_VERSION", "v1")
        self._begun = time.monotonic()

    @property
    def _well(self) -> bool:
        period = self._PERIODS.get(self._version)
        return period is None or int(time.monotonic() - self._begun) // period % 2 == 0

    def health(self) -> Answer:
        """Answer to /health; v-unhealthy is at times not well."""
        if self._version == "v-unhealthy" and not self._well:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"status": "Ratings is not healthy"}
        return super().health()

    def product(self, product: str, headers: Mapping[str, str]) -> Answer:
        """Tell a book's ratings."""
        del headers
        if not product.isdecimal():
            return HTTPStatus.BAD_REQUEST, {"error": "please provide numeric product ID"}
        unlucky = random.random() <= self._SHARE  # noqa: S311 - a fault in half of the cases, and no secret
        if not self._well or (unlucky and self._version == "v-faulty"):
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "Service unavailable"}
        if unlucky and self._version == "v-delayed":
            time.sleep(self._DELAY)
        return HTTPStatus.OK, self._ratings(int(product))

    def post(self, path: str, body: bytes) -> Answer:
        """Keep ratings until the server ends."""
        name, _, product = path.partition("?")[0].strip("/").partition("/")
        if name != self.name:
            return not_found()
        if not product.isdecimal():
            return HTTPStatus.BAD_REQUEST, {"error": "please provide numeric product ID"}
        try:
            self._added[int(product)] = json.loads(body)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, {"error": "please provide valid ratings JSON"}
        return HTTPStatus.OK, self._ratings(int(product))

    def _ratings(self, product: int) -> object:
        return {"id": product, "ratings": self._added.get(product, {"Reviewer1": 5, "Reviewer2": 4})}


class Reviews(Service):
    """LibertyRestEndpoint.java: it asks ratings where ENABLE_RATINGS is true, and colours the stars with STAR_COLOR."""

    def product(self, product: str, headers: Mapping[str, str]) -> Answer:
        """Tell a book's reviews, with the stars of the ratings service."""
        if not product.isdecimal():
            return not_found()
        colour = self.variables.get("STAR_COLOR", "black")
        asks = self.variables.get("ENABLE_RATINGS", "").lower() == "true"
        stars = self._stars(product, headers, timeout=10.0 if colour == "black" else 2.5) if asks else {}
        reviews = []
        for reviewer, text in _TEXTS.items():
            review: dict[str, object] = {"reviewer": reviewer, "text": text}
            if reviewer in stars:
                review["rating"] = {"stars": stars[reviewer], "color": colour}
            elif asks:
                review["rating"] = {"error": "Ratings service is currently unavailable"}
            reviews.append(review)
        return HTTPStatus.OK, {
            "id": product,
            "podname": self.variables.get("HOSTNAME", "null"),
            "clustername": self.variables.get("CLUSTER_NAME", "null"),
            "reviews": reviews,
        }

    def _stars(self, product: str, headers: Mapping[str, str], *, timeout: float) -> dict[str, int]:
        """Ask the ratings service, with the request's own headers; nothing where it does not answer well."""
        domain = self.variables.get("SERVICES_DOMAIN")
        host = self.variables.get("RATINGS_HOSTNAME", "ratings") + (f".{domain}" if domain else "")
        port = int(self.variables.get("RATINGS_SERVICE_PORT", "9080"))
        handed_on = {name: headers[name] for name in _HANDED_ON if name in headers}
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request("GET", f"/ratings/{product}", headers={"accept": "application/json", **handed_on})
            answer = connection.getresponse()
            ratings = json.loads(answer.read()).get("ratings", {}) if answer.status == HTTPStatus.OK else {}
            return {reviewer: int(stars) for reviewer, stars in ratings.items()}
        except (OSError, http.client.HTTPException, ValueError, AttributeError, TypeError) as error:
            say(f"Error: unable to contact http://{host}:{port}/ratings: {error}")
            return {}
        finally:
            connection.close()


class Echo(Service):
    """In place of curl and sleep: it tells the headers that a request came with, such as a proxy's own.

    A WebSocket gets a frame ten times a second.
    """

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Tell what came."""
        return HTTPStatus.OK, {"podname": self.variables.get("HOSTNAME", ""), "path": path, "headers": dict(headers)}


SERVICES: Final[Mapping[str, type[Service]]] = {
    "details": Details,
    "ratings": Ratings,
    "reviews": Reviews,
    "curl": Echo,
    "sleep": Echo,
}


def not_found() -> Answer:
    """Answer to a path that a service does not have."""
    return HTTPStatus.NOT_FOUND, {"error": "Not found"}


def say(text: str) -> None:
    """Write a line of the pod's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Server(ThreadingHTTPServer):
    """A server for one service, which ends what it has begun before it stops."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], name: str, variables: Mapping[str, str]) -> None:
        """Listen.

        Args:
            address: The host and the port; port 0 is a free one.
            name: A key of ``SERVICES``.
            variables: The environment that the service reads.
        """
        super().__init__(address, Handler)
        self.small = name
        self.service = SERVICES[name](name, variables)
        self.stopping = Stopping()

    def stop(self) -> None:
        """Take no more connections, and wait for the answers to requests that came before."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self.stopping.wait_idle(_STOP_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1 keeps it open for more requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer GET, or open a WebSocket."""
        if isinstance(self.server.service, Echo) and self.headers.get("upgrade", "").lower() == "websocket":
            self._tick()
            return
        self._answer(lambda: self.server.service.get(self.path, self._lowered()))

    def do_POST(self) -> None:
        """Answer POST."""
        length = self.headers.get("content-length", "")
        body = self.rfile.read(int(length) if length.isdecimal() else 0)
        self._answer(lambda: self.server.service.post(self.path, body))

    def version_string(self) -> str:
        """Say what the server is, as its Server header."""
        return f"nksmesh-small-server/{self.server.small}"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a request with its status."""
        del size
        say(f"{self.command} {self.path} {int(code) if isinstance(code, HTTPStatus) else code}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gave it
        """Log what http.server has to say, such as a request that is none."""
        say(format % args)

    def _lowered(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _tick(self) -> None:
        """Send frames over a WebSocket until it breaks, or until the server stops and says so (RFC 6455)."""
        import hashlib  # this takes a megabyte, which no other request needs

        key = self.headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accepted = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        for name, text in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accepted)):
            self.send_header(name, text)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError), self.server.stopping:
            while not self.server.stopping.wait(_TICK_SECONDS):
                self.wfile.write(b"\x81\x04tick")
            self.wfile.write(b"\x88\x02" + (1001).to_bytes(2, "big"))  # a close frame: going away

    def _answer(self, asked: Callable[[], Answer]) -> None:
        with self.server.stopping:
            status, answer = asked()
            text = json.dumps(answer, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("X-Small-Server", self.server.small)
            if self.server.stopping.is_set():
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text)


def main(name: str, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = Server((host, port), name, os.environ)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        threading.Thread(target=server.stop).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    say(f"the small server in place of {name} listens on port {port}")
    server.serve_forever(poll_interval=0.05)
    server.stopping.wait_idle(_STOP_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
