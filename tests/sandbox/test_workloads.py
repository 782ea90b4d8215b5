"""Bookinfo without a cluster: its own productpage calls the small servers on loopback."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final

import pytest
import websocket

from nksmesh.domain.common.errors import ClusterError
from nksmesh.sandbox.builds import ISTIO
from nksmesh.sandbox.layout import free_port
from nksmesh.sandbox.workloads import productpage, server
from nksmesh.sandbox.workloads.images import program_of

READY_SECONDS: Final = 30.0


@dataclass
class Answer:
    status: int
    headers: Message
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - the same
            return Answer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


@contextmanager
def serving(name: str, **variables: str) -> Iterator[int]:
    small = server.Server(("127.0.0.1", 0), name, variables)
    thread = threading.Thread(target=small.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield small.server_port
    finally:
        small.stop()
        small.server_close()
        thread.join()


@contextmanager
def running(image: str, log: Path, **variables: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run what plays an image, as a pod would, and wait until it answers."""
    port = free_port()
    program = program_of(image, host="127.0.0.1", port=port)
    assert program is not None
    with log.open("wb") as output:
        process = subprocess.Popen(
            program.command,
            env={**program.environment, **variables},
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + READY_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            try:
                ask(port, "/health")
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return not connection.connect_ex(("127.0.0.1", port))


def at(service: str, port: int) -> dict[str, str]:
    return {f"{service}_HOSTNAME": "127.0.0.1", f"{service}_SERVICE_PORT": str(port)}


@pytest.fixture(scope="module")
def own_program() -> None:
    if not (ISTIO.built and (productpage.environment() / "made").exists()):
        pytest.skip("Istio's samples are not in the cache: run nksmesh sandbox build --data-plane")


@pytest.mark.usefixtures("own_program")
def test_productpage_shows_what_the_other_services_told_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        details = stack.enter_context(serving("details"))
        ratings = stack.enter_context(serving("ratings"))
        stars = {"HOSTNAME": "reviews-pod", "ENABLE_RATINGS": "true", "STAR_COLOR": "red", **at("RATINGS", ratings)}
        reviews = stack.enter_context(serving("reviews", **stars))
        services = {**at("DETAILS", details), **at("REVIEWS", reviews), **at("RATINGS", ratings)}
        page, process = stack.enter_context(
            running("examples-bookinfo-productpage-v1", tmp_path / "productpage.log", **services)
        )
        first = ask(page, "/productpage")
        assert first.status == 200
        assert re.search(r"<title>\s*Simple Bookstore App\s*</title>", first.body)
        for told in ("1234567890", "reviews-pod", "The slapstick humour is refreshing!"):
            assert told in first.body
        ask(ratings, "/ratings/0", json.dumps({"Reviewer1": 1, "Reviewer2": 2}).encode())
        told = ask(page, "/api/v1/products/0/reviews").json["reviews"]
        assert [review["rating"] for review in told] == [{"stars": n, "color": "red"} for n in (1, 2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert not list(productpage.source().rglob("__pycache__"))


@pytest.mark.usefixtures("own_program")
def test_productpage_says_which_service_does_not_answer(tmp_path: Path) -> None:
    with ExitStack() as stack:
        details = stack.enter_context(serving("details"))
        services = {**at("DETAILS", details), **at("REVIEWS", free_port())}
        page, _ = stack.enter_context(running("examples-bookinfo-productpage-v1", tmp_path / "log", **services))
        body = ask(page, "/productpage").body
    assert "product reviews are currently unavailable" in body
    assert "1234567890" in body


@pytest.mark.parametrize(
    ("image", "color"), [("examples-bookinfo-reviews-v2", "black"), ("examples-bookinfo-reviews-v3", "red")]
)
def test_reviews_colours_the_stars_that_ratings_gives(image: str, color: str, tmp_path: Path) -> None:
    with (
        serving("ratings") as ratings,
        running(image, tmp_path / "log", HOSTNAME="pod-1", **at("RATINGS", ratings)) as (port, process),
    ):
        answer = ask(port, "/reviews/0")
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert answer.headers["Server"] == "nksmesh-small-server/reviews"
    assert answer.headers["X-Small-Server"] == "reviews"
    assert (answer.json["id"], answer.json["podname"]) == ("0", "pod-1")
    stars = [{"stars": 5, "color": color}, {"stars": 4, "color": color}]
    assert [review["rating"] for review in answer.json["reviews"]] == stars
    assert "GET /reviews/0 200\n" in (tmp_path / "log").read_text()


def test_reviews_v1_asks_no_ratings(tmp_path: Path) -> None:
    with running("examples-bookinfo-reviews-v1", tmp_path / "log", **at("RATINGS", free_port())) as (port, _):
        answer = ask(port, "/reviews/0")
    assert [set(review) for review in answer.json["reviews"]] == [{"reviewer", "text"}] * 2
    assert "unable to contact" not in (tmp_path / "log").read_text()


def test_reviews_tells_that_ratings_is_away() -> None:
    with serving("reviews", ENABLE_RATINGS="true", **at("RATINGS", free_port())) as port:
        answer = ask(port, "/reviews/0")
    assert answer.status == 200
    away = {"error": "Ratings service is currently unavailable"}
    assert [review["rating"] for review in answer.json["reviews"]] == [away, away]


def test_reviews_hands_on_the_headers_of_tracing_and_of_the_user() -> None:
    asked: list[dict[str, str]] = []

    class Listening(server.Ratings):
        def product(self, product: str, headers: Mapping[str, str]) -> server.Answer:
            asked.append(dict(headers))
            return super().product(product, headers)

    handed_on = {"x-request-id": "1", "end-user": "jason", "traceparent": "00-1-2-01", "x-b3-traceid": "3"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "SERVICES", {**server.SERVICES, "ratings": Listening})
        with (
            serving("ratings") as ratings,
            serving("reviews", ENABLE_RATINGS="true", **at("RATINGS", ratings)) as port,
        ):
            ask(port, "/reviews/0", headers={"x-of-mine": "no", **handed_on})
    [headers] = asked
    assert handed_on.items() <= headers.items()
    assert "x-of-mine" not in headers


def test_ratings_keeps_what_it_is_told_and_refuses_what_it_cannot_read() -> None:
    with serving("ratings") as port:
        assert ask(port, "/ratings/0").json == {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}
        assert ask(port, "/ratings/7", b'{"Reviewer1": 2}').json == {"id": 7, "ratings": {"Reviewer1": 2}}
        assert ask(port, "/ratings/7").json["ratings"] == {"Reviewer1": 2}
        refused = {path: ask(port, path, body).status for path, body in (("/ratings/0", b"{"), ("/ratings/x", b"{}"))}
        assert refused == {"/ratings/0": 400, "/ratings/x": 400}
        assert ask(port, "/ratings/x").json == {"error": "please provide numeric product ID"}
        assert ask(port, "/elsewhere").status == 404
        assert ask(port, "/health").json == {"status": "Ratings is healthy"}


def test_faulty_ratings_fail_half_of_the_requests() -> None:
    with serving("ratings", SERVICE_VERSION="v-faulty") as port:
        statuses = [ask(port, "/ratings/0").status for _ in range(100)]
    assert set(statuses) == {200, 503}
    assert 20 <= statuses.count(503) <= 80


def test_details_are_those_of_the_book() -> None:
    with serving("details") as port:
        book = ask(port, "/details/0").json
        assert (book["id"], book["author"], book["ISBN-10"]) == (0, "William Shakespeare", "1234567890")
        assert ask(port, "/details/one").status == 400
        assert ask(port, "/details/0", b"{}").status == 405


def test_curl_and_sleep_tell_the_headers_that_came() -> None:
    with serving("curl", HOSTNAME="curl-1") as port:
        told = ask(port, "/a?b", headers={"x-forwarded-client-cert": "By=spiffe://cluster.local"}).json
    assert (told["podname"], told["path"]) == ("curl-1", "/a?b")
    assert told["headers"]["x-forwarded-client-cert"] == "By=spiffe://cluster.local"


def test_a_web_socket_gets_frames_and_is_closed_by_a_server_that_stops() -> None:
    with serving("sleep") as port:
        opened = websocket.create_connection(f"ws://127.0.0.1:{port}/", timeout=10)
        assert [opened.recv(), opened.recv()] == ["tick", "tick"]
    there = opened.sock
    assert there is not None
    with there:
        code, data = opened.recv_data()
        while code == websocket.ABNF.OPCODE_TEXT:
            code, data = opened.recv_data()

    assert (code, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, websocket.STATUS_GOING_AWAY)


def test_a_server_that_stops_answers_what_it_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Waiting(server.Details):
        def product(self, product: str, headers: Mapping[str, str]) -> server.Answer:
            asked.set()
            assert go_on.wait(10)
            return super().product(product, headers)

    monkeypatch.setattr(server, "SERVICES", {"details": Waiting})
    small = server.Server(("127.0.0.1", 0), "details", {})
    with ThreadPoolExecutor() as threads:
        threads.submit(small.serve_forever, 0.01)
        answer = threads.submit(ask, small.server_port, "/details/0")
        try:
            assert asked.wait(10)
            stopping = threads.submit(small.stop)
            end = time.monotonic() + 10
            while is_open(small.server_port):
                assert time.monotonic() < end
            assert not stopping.done()
        finally:
            go_on.set()
            small.shutdown()
        stopping.result(10)
    assert answer.result().status == 200
    assert answer.result().headers["Connection"] == "close"


async def test_an_environment_that_cannot_be_made_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NKSMESH_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # a pip that is called from there would not be the environment's own
    productpage.source().mkdir(parents=True)
    (productpage.source() / "requirements.txt").write_text("./no-hash\n")
    with pytest.raises(ClusterError, match=r"python -m pip ended with status") as failed:
        await productpage.ensure()
    assert "no-hash" in failed.value.detail
    assert [path.suffix for path in productpage.environment().parent.glob("*productpage-*")] == [".lock"]
