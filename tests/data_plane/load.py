"""Constant load on Bookinfo while something changes: how much of it there was, and what was lost of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import websocket

from tests.data_plane.bookinfo import PATIENCE as BOOKINFO_PATIENCE
from tests.data_plane.bookinfo import TICKER, Bookinfo, missing_in, ticker

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request

GATEWAY = "istio-ingressgateway"
TWO_GATEWAYS = ("--set", f"{GATEWAY}:replicaCount=2", "--set", f"{GATEWAY}:autoscaling.enabled=false")
"""How install is told of two gateway pods."""

CALLERS = 2
"""Of each kind of connection."""

PACE = 0.2
"""Seconds from one request of a caller to its next one, where the answer takes less."""

OPENED = 10
PATIENCE = 10.0
"""Seconds that an answer, or a WebSocket's next frame, may take."""


@dataclass
class Count:
    """What came of one kind of connection.

    Attributes:
        lost: When, in seconds since the load began, and what came instead.
    """

    asked: int = 0
    lost: list[tuple[float, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join((f"{len(self.lost)} of {self.asked} lost", *(f"{why} after {at} s" for at, why in self.lost)))


@dataclass
class Load:
    """What came of all of it.

    Attributes:
        pages: Whole pages of Bookinfo, each over a connection of its own.
        kept: The same over connections that stay open.
        web_sockets: WebSockets, opened anew where one was closed; one that could not be opened is lost.
        closed: When WebSockets were closed before the load ended, and how.
    """

    pages: Count = field(default_factory=Count)
    kept: Count = field(default_factory=Count)
    web_sockets: Count = field(default_factory=Count)
    closed: list[tuple[float, str]] = field(default_factory=list)
    frames: int = 0

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.pages.asked + self.kept.asked + self.web_sockets.asked

    @property
    def lost(self) -> list[tuple[float, str]]:
        """The requests that were lost."""
        return [*self.pages.lost, *self.kept.lost, *self.web_sockets.lost]

    def __str__(self) -> str:
        closed = "; ".join(f"{how} after {at} s" for at, how in self.closed)
        sockets = f"WebSockets: {self.web_sockets}; {self.frames} frames; {len(self.closed)} closed: {closed or 'none'}"
        return f"pages: {self.pages}\nkept: {self.kept}\n{sockets}"


@contextmanager
def under_load(bookinfo: Bookinfo) -> Iterator[Load]:
    """Fetch Bookinfo's page all the time; the page shows what productpage got from details, reviews and ratings.

    WebSockets to the ticker are open meanwhile. The load ends when the last old pod is gone: it drains, and then closes
    the connections that it still has.
    """
    load, ended, lock, begun = Load(), threading.Event(), threading.Lock(), time.monotonic()

    def call(count: Count, ask: Callable[[], str]) -> None:
        while not ended.is_set():
            at = time.monotonic()
            missing = ask()
            with lock:
                count.asked += 1
                if missing:
                    count.lost.append((round(at - begun, 1), missing))
            ended.wait(max(at + PACE - time.monotonic(), 0))

    def keep(address: str) -> None:
        with httpx.Client(base_url=f"http://{address}", timeout=PATIENCE, trust_env=False) as client:
            call(load.kept, partial(_kept, client))

    def listen(address: str) -> None:
        while not ended.is_set():
            heard, how = _until_closed(address, ended)
            at = round(time.monotonic() - begun, 1)
            if heard is None:
                ended.wait(PACE)
            with lock:
                load.web_sockets.asked += 1
                load.frames += heard or 0
                if how:
                    (load.web_sockets.lost if heard is None else load.closed).append((at, how))

    address = bookinfo.gateway
    fresh = partial(call, load.pages, lambda: missing_in(bookinfo.page()))
    kinds = [fresh, partial(keep, address), partial(listen, address)]
    with ThreadPoolExecutor(len(kinds) * CALLERS) as threads:
        callers = [threads.submit(kind) for kind in kinds for _ in range(CALLERS)]
        try:
            yield load
            bookinfo.cluster.until(
                "/api/v1/pods", lambda pods: not any("deletionTimestamp" in pod["metadata"] for pod in pods)
            )
        finally:
            ended.set()
        for caller in callers:
            caller.result()


def deploy_ticker(bookinfo: Bookinfo) -> None:
    """Deploy the application of WebSockets, and wait until ten in a row open: both gateways lead to it then."""
    bookinfo.apply(*ticker())
    address, until = bookinfo.gateway, time.monotonic() + BOOKINFO_PATIENCE
    over, opened = threading.Event(), 0
    over.set()
    while opened < OPENED:
        heard, why = _until_closed(address, over)
        opened = 0 if heard is None else opened + 1
        assert time.monotonic() < until, why
        time.sleep(0 if opened else PACE)


def _kept(client: httpx.Client) -> str:
    """Fetch the page over a connection that is there, if one is; return what it lacks."""
    try:
        answer = client.get("/productpage")
    except httpx.HTTPError as error:
        return repr(error)
    return missing_in(answer.text if answer.is_success else f"status {answer.status_code}")


def _until_closed(address: str, ended: threading.Event) -> tuple[int | None, str]:
    """Read a WebSocket until the load ends.

    Returns:
        How many frames came, None where it could not be opened; and why it closed before, or why it could not.
    """
    heard = 0
    try:
        opened = websocket.create_connection(f"ws://{address}/{TICKER}", timeout=PATIENCE)
    except (OSError, websocket.WebSocketException) as error:
        return None, f"{str(error)[:40]} ... {str(error)[-40:]}"
    assert opened.sock is not None
    with opened.sock:
        try:
            while not ended.is_set():
                code, data = opened.recv_data()
                if code == websocket.ABNF.OPCODE_CLOSE:
                    return heard, f"closed with {int.from_bytes(data[:2], 'big')}"
                heard += 1
        except (OSError, websocket.WebSocketException) as error:
            return heard, type(error).__name__
    return heard, ""
