"""A page, asked for over the network: what answered, and what did not."""

from __future__ import annotations

import asyncio
import socket
from http.server import BaseHTTPRequestHandler

import pytest

from nksmesh.adapters import http
from nksmesh.adapters.pages import Pages
from nksmesh.domain.gateways.answers import Answer
from tests.loopback import QuietHandler, serving


class Shop(QuietHandler):
    """Answers by path, and by host name."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        pages = {"/productpage": (200, "<html><head><title>Simple\n  Bookstore &amp; App</title></head></html>")}
        pages["/moved"] = (302, "")
        pages["/large"] = (200, f"<title>first</title>{'x' * 1_000_000}")
        status, text = pages.get(self.path, (404, f"<title>{host}</title>"))
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        if status == 302:
            self.send_header("Location", "/productpage")
        self.end_headers()
        self.wfile.write(text.encode())


class Named(QuietHandler):
    """Answers with the host name that it was asked for."""

    def do_GET(self) -> None:
        text = f"<title>{self.headers['Host']}</title>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Silent(BaseHTTPRequestHandler):
    """Takes the request, and hangs up."""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)


def ask(url: str, host: str = "") -> Answer:
    return asyncio.run(Pages({}).ask(url, host=host))


def test_an_address_with_a_relay_is_asked_there_under_its_own_name() -> None:
    with serving(Named) as server:
        relays = {"203.0.113.196:80": f"127.0.0.1:{server.server_port}"}
        pages = Pages({}, relays=relays)
        answers = [asyncio.run(pages.ask("http://203.0.113.196/", host=host)) for host in ("", "shop.example")]
    assert [(answer.title, answer.url) for answer in answers] == [
        ("203.0.113.196", "http://203.0.113.196/"),
        ("shop.example", "http://203.0.113.196/"),
    ]


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/productpage", 200, "Simple Bookstore & App"),
        ("/moved", 302, ""),
        ("/large", 200, "first"),
    ],
)
def test_a_page_has_a_status_and_a_title(path: str, status: int, title: str) -> None:
    with serving(Shop) as server:
        answer = ask(f"http://127.0.0.1:{server.server_port}{path}")
    assert (answer.status, answer.title, answer.good, answer.failure) == (status, title, True, "")


def test_another_host_name_may_be_asked_for() -> None:
    with serving(Shop) as server:
        answer = ask(f"http://127.0.0.1:{server.server_port}/nowhere", host="shop.example.com")
    assert (answer.status, answer.title, answer.good) == (404, "shop.example.com", False)


def test_no_proxy_answers_in_place_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Shop) as server, serving(Silent) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("NO_PROXY", "")
        assert ask(f"http://127.0.0.1:{server.server_port}/productpage").good


def test_a_refused_connection_is_no_timeout() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = ask(f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert (answer.status, answer.timed_out) == (0, False)
    assert answer.failure


def test_a_connection_that_is_cut_is_a_failure() -> None:
    with serving(Silent) as server:
        answer = ask(f"http://127.0.0.1:{server.server_port}/")
    assert (answer.status, answer.timed_out, answer.good) == (0, False, False)


def test_what_does_not_answer_in_time_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.05)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        answer = ask(f"http://127.0.0.1:{listening.getsockname()[1]}/")
    assert answer.timed_out
    assert answer.failure == "no answer for 0 s"
