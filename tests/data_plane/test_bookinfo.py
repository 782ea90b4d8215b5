"""Bookinfo on real proxies: what the gateway answers, and what the API server leads into its pods."""

from __future__ import annotations

import asyncio
import math
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.request import urlopen

import pytest
from kubernetes import client, config
from kubernetes.stream import portforward, stream

from tests.data_plane.bookinfo import NAMESPACE, Bookinfo, reviews_split
from tests.data_plane.browser import browsed

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

REQUESTS = 500
OUTSIDE = "outside"
"""A namespace without injection, whose pod speaks plain text."""

SECONDS = 15.0
"""For what is answered at once."""


@pytest.fixture(scope="module")
def core(bookinfo: Bookinfo) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(str(bookinfo.sandbox.kubeconfig)) as api:
        yield client.CoreV1Api(api)


@contextmanager
def session(core: client.CoreV1Api, pod: str, container: str, command: list[str], **how: Any) -> Iterator[Any]:
    """Run a command in a container."""
    opened = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        how.pop("namespace", NAMESPACE),
        container=container,
        command=command,
        stdout=True,
        stderr=True,
        _preload_content=False,
        **how,
    )
    try:
        yield opened
    finally:
        opened.sock.shutdown()


def run_in(core: client.CoreV1Api, pod: str, container: str, *command: str, namespace: str = NAMESPACE) -> Any:
    """Run a command in a container to its end: its exit code, and what it wrote."""
    with session(core, pod, container, [*command], namespace=namespace) as ran:
        ran.run_forever(timeout=SECONDS)
        return ran.returncode, ran.read_stdout() + ran.read_stderr()


def colours(bookinfo: Bookinfo, requests: int) -> Counter[str]:
    """Fetch the page so many times, and count which reviews served it: v1 has no stars, v2 black, v3 red ones."""

    def served(_: int) -> str:
        page = bookinfo.page()
        assert "slapstick humour" in page, page[:500]
        stars = {"text-black-500": "v2", "text-red-500": "v3"}
        return next((version for word, version in stars.items() if word in page), "v1")

    with ThreadPoolExecutor(4) as threads:
        return Counter(threads.map(served, range(requests)))


@contextmanager
def applied(bookinfo: Bookinfo, *objects: dict[str, Any]) -> Iterator[None]:
    bookinfo.apply(*objects)
    try:
        yield
    finally:
        for item in objects:
            bookinfo.remove(item)


def test_the_page_comes_through_the_gateway_with_what_every_service_says(bookinfo: Bookinfo) -> None:
    page = bookinfo.until_whole()

    assert "<title>Simple Bookstore App</title>" in page
    assert "The Comedy of Errors" in page
    assert "Reviews served by:" in page


def test_status_names_what_is_real_and_where_the_gateway_answers(bookinfo: Bookinfo) -> None:
    told = bookinfo.sandbox.status().data_plane

    assert told is not None
    assert told.control_plane.startswith("1.31")
    kinds = {image.image.rpartition("/")[2].partition(":")[0]: image.kind for image in told.images}
    assert kinds["pilot"] == kinds["proxyv2"] == kinds["examples-bookinfo-productpage-v1"] == "real"
    assert kinds["examples-bookinfo-reviews-v3"] == "small server"
    assert any(relay.address.endswith(":80") for relay in told.relays)


def test_every_version_of_reviews_serves_by_turns_without_a_rule(bookinfo: Bookinfo) -> None:
    assert set(colours(bookinfo, 40)) == {"v1", "v2", "v3"}


def test_a_split_by_weight_is_what_the_requests_get(bookinfo: Bookinfo) -> None:
    with applied(bookinfo, reviews_split(v1=80, v2=20)):
        # a change of routes takes about a second to come to the proxies
        until_served(bookinfo, {"v1", "v2"})
        served = colours(bookinfo, REQUESTS)

    deviation = math.sqrt(REQUESTS * 0.8 * 0.2)
    assert abs(served["v1"] - REQUESTS * 0.8) <= 5 * deviation, served
    assert served["v1"] + served["v2"] == REQUESTS, served


def test_no_request_goes_where_no_weight_is(bookinfo: Bookinfo) -> None:
    with applied(bookinfo, reviews_split(v1=0, v3=100)):
        until_served(bookinfo, {"v3"})

        assert colours(bookinfo, 100) == {"v3": 100}


def test_a_browser_draws_the_page_with_what_its_script_makes(bookinfo: Bookinfo, tmp_path: Path) -> None:
    with applied(bookinfo, reviews_split(v3=100)):
        until_served(bookinfo, {"v3"})
        document = browsed(f"http://{bookinfo.gateway}/productpage", tmp_path)

    assert "<title>Simple Bookstore App</title>" in document
    assert document.count('id="glyphicon glyphicon-star"') == 9  # five of one reviewer, four of the other
    # the page's own script, which the gateway serves as well, writes the rules of the classes that the page has
    assert re.search(r"\.text-red-500\s*\{[^}]*color:", document)


def until_served(bookinfo: Bookinfo, versions: set[str]) -> None:
    for _ in range(20):
        if set(colours(bookinfo, 20)) <= versions:
            return
    raise AssertionError(f"requests do not keep to {versions}")


def test_exec_has_exit_codes_and_goes_where_the_container_is(bookinfo: Bookinfo, core: client.CoreV1Api) -> None:
    ratings = bookinfo.pod("ratings")

    assert run_in(core, ratings, "ratings", "sh", "-c", "echo out; exit 7") == (7, "out\n")
    code, page = run_in(core, ratings, "ratings", "curl", "-sS", "http://productpage:9080/productpage")
    assert (code, "<title>Simple Bookstore App</title>" in page) == (0, True), page
    code, ready = run_in(core, ratings, "istio-proxy", "pilot-agent", "request", "GET", "server_info")
    assert (code, '"state": "LIVE"' in ready) == (0, True), ready


def test_exec_reads_what_is_typed(bookinfo: Bookinfo, core: client.CoreV1Api) -> None:
    with session(core, bookinfo.pod("ratings"), "ratings", ["sh"], stdin=True, tty=True) as shell:
        shell.write_stdin("test -t 0 && echo a terminal; exit 3\n")
        shell.run_forever(timeout=SECONDS)

        assert "a terminal\r\n" in shell.read_stdout()
        assert shell.returncode == 3


def test_logs_are_those_of_the_process(bookinfo: Bookinfo, core: client.CoreV1Api) -> None:
    bookinfo.until_whole()

    details = core.read_namespaced_pod_log(bookinfo.pod("details"), NAMESPACE, container="details")
    last = core.read_namespaced_pod_log(bookinfo.pod("details"), NAMESPACE, container="istio-proxy", tail_lines=1)

    assert "/details/0" in details
    assert len(last.splitlines()) == 1


@pytest.mark.parametrize(
    ("port", "path", "words"), [(9080, "/productpage", b"Simple Bookstore App"), (15000, "/ready", b"LIVE")]
)
def test_a_port_is_forwarded(bookinfo: Bookinfo, core: client.CoreV1Api, port: int, path: str, words: bytes) -> None:
    pod = bookinfo.pod("productpage")
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, pod, NAMESPACE, ports=str(port))
    try:
        with closing(forwarded.socket(port)) as there:
            there.settimeout(SECONDS)
            there.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert words in everything(there)
    finally:
        forwarded.close()
        forwarded.websocket.shutdown()


def everything(there: socket.socket) -> bytes:
    parts = []
    while part := there.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_strict_mutual_tls_resets_plain_text(bookinfo: Bookinfo, core: client.CoreV1Api) -> None:
    bookinfo.cluster.post("/api/v1/namespaces", {"metadata": {"name": OUTSIDE}})
    container = {"name": "curl", "image": "docker.io/curlimages/curl:8.16.0", "command": ["sleep", "infinity"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "curl", "labels": {"app": "curl"}},
        "spec": {"containers": [container]},
    }
    bookinfo.apply(pod, namespace=OUTSIDE)
    bookinfo.cluster.until(
        f"/api/v1/namespaces/{OUTSIDE}/pods",
        lambda found: any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for one in found
            for condition in one["status"].get("conditions") or ()
        ),
    )

    def ask() -> tuple[int, str]:
        url = f"http://details.{NAMESPACE}:9080/details/0"
        code, said = run_in(core, "curl", "curl", "curl", "-sS", "-m", "5", url, namespace=OUTSIDE)
        return code, said

    code, said = ask()
    assert (code, "William Shakespeare" in said) == (0, True), said
    strict = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }
    with applied(bookinfo, strict):
        for _ in range(50):
            code, said = ask()
            if code:
                break
        assert code == 56, said  # curl: a failure in receiving data, "Connection reset by peer"
        assert "reset by peer" in said
        bookinfo.until_whole()


def test_a_dashboard_leads_to_a_small_server_in_a_pod_and_to_the_next_when_it_has_drained(bookinfo: Bookinfo) -> None:
    ending = bookinfo.pod("details")
    forward = bookinfo.mesh.start("dashboard", "details", "-n", NAMESPACE, "--port", "0", "--no-browser")
    try:
        where = led_to(forward, ending)
        assert b"William Shakespeare" in fetched(f"{where}/details/0")
        bookinfo.cluster.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{ending}")

        bookinfo.cluster.until(
            f"/api/v1/namespaces/{NAMESPACE}/pods",
            lambda found: all(one["metadata"]["name"] != ending for one in found),
        )
        bookinfo.until_whole()
        assert led_to(forward, bookinfo.pod("details")) == where
        assert b"William Shakespeare" in fetched(f"{where}/details/0")
        forward.send_signal(signal.SIGINT)
        assert forward.wait(SECONDS) == 0
    finally:
        forward.kill()
        forward.communicate()


def led_to(forward: Popen[str], pod: str) -> str:
    """Wait until a forward leads to a pod; return the URL that it answers at."""
    assert forward.stderr is not None
    line = next(line for line in forward.stderr if line.rstrip().endswith(f" leads to pod {pod}"))
    return next(word for word in line.split() if word.startswith("http://")).rstrip("/")


def fetched(url: str) -> bytes:
    with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - a URL of loopback
        return bytes(answer.read())


def test_down_and_up_bring_everything_back(bookinfo: Bookinfo) -> None:
    before = bookinfo.gateway
    asyncio.run(bookinfo.sandbox.down())
    asyncio.run(bookinfo.sandbox.up())

    bookinfo.until_whole()
    assert bookinfo.gateway == before
