"""What day two does to traffic: requests under way the whole time, through the gateway and from pod to pod."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.data_plane.bookinfo import NAMESPACE, Bookinfo, installed_bookinfo

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

OTHER = "registry.example/other/istio"
GATEWAY = "istio-ingressgateway"
TWO_GATEWAYS = (f"{GATEWAY}:replicaCount=2", f"{GATEWAY}:autoscaling.enabled=false")
LOG = logging.getLogger(__name__)
"""How many requests were lost: pytest shows it with ``--log-cli-level=INFO``."""

CALLERS = 2
AFTER = 2.0
"""Seconds of load after a run has ended: the last old pod drains then."""


@dataclass
class Load:
    """Pages that are fetched one after another by a few callers, each over a connection of its own.

    Attributes:
        lost: What came instead of a whole page: when, in seconds since the load began, and what.
    """

    asked: int = 0
    lost: list[tuple[float, str]] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(reason for _, reason in self.lost)

    def __str__(self) -> str:
        return f"{len(self.lost)} of {self.asked} requests lost: {dict(self.reasons)}"


@contextmanager
def under_load(bookinfo: Bookinfo) -> Iterator[Load]:
    """Fetch Bookinfo's page all the time; the page shows what productpage got from details, reviews and ratings."""
    load, ended, begun, lock = Load(), threading.Event(), time.monotonic(), threading.Lock()

    def call() -> None:
        while not ended.is_set():
            at = time.monotonic() - begun
            page = bookinfo.page()
            with lock:
                load.asked += 1
                if missing := missing_in(page):
                    load.lost.append((round(at, 1), missing))

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield load
        time.sleep(AFTER)
    finally:
        ended.set()
        for caller in callers:
            caller.join()


def missing_in(page: str) -> str:
    """Say what a page lacks; empty where it is whole."""
    if "Simple Bookstore App" not in page:
        return page[:80]
    if "William Shakespeare" not in page:
        return "details did not answer"
    return "" if "slapstick humour" in page else "reviews did not answer"


@pytest.fixture(scope="module")
def bookinfo(plane: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path) -> Iterator[Bookinfo]:
    """Give a mesh of 1.28.10 with two gateway pods, and Bookinfo in it."""
    sets = [word for setting in TWO_GATEWAYS for word in ("--set", setting)]
    with installed_bookinfo(plane, tmp_path_factory.mktemp("mesh"), real_charts, "1.28.10", *sets) as found:
        yield found


def test_an_upgrade_and_its_rollback_lose_no_request(bookinfo: Bookinfo) -> None:
    with under_load(bookinfo) as upgrading:
        bookinfo.mesh("upgrade", "--to", "1.29.6", "--restart-workloads", "--yes")
    LOG.info("%s: %s", "upgrade", upgrading)
    with under_load(bookinfo) as going_back:
        bookinfo.mesh("rollback", "--yes")
    LOG.info("%s: %s", "rollback", going_back)

    assert (upgrading.lost, going_back.lost) == ([], [])


def test_a_canary_loses_no_request(bookinfo: Bookinfo) -> None:
    lost = {}
    for name, command in {
        "start": ("canary", "start", "--to", "1.29.6"),
        "move": ("canary", "move", NAMESPACE, "--yes"),
        "promote": ("canary", "promote", "--restart-workloads", "--yes"),
    }.items():
        with under_load(bookinfo) as load:
            bookinfo.mesh(*command)
        LOG.info("%s: %s", f"canary {name}", load)
        lost[name] = load.lost

    assert not any(lost.values()), lost


def test_another_hub_loses_no_request(bookinfo: Bookinfo) -> None:
    with under_load(bookinfo) as load:
        bookinfo.mesh("install", "--hub", OTHER, "--yes")
    LOG.info("%s: %s", "another hub", load)

    assert load.lost == []
