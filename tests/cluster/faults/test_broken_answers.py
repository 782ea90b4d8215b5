"""What answers is no API server, or one that breaks off: an error of the cluster's, never a bug of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.program import Program
from tests.loopback import QuietHandler, serving

ANSWERS = {
    "cut off": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"gitVer',
    "cut off in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n<html>Sign in</html",
    "other JSON": b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n["not", "ours"]',
    "without a version": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "overloaded": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\noverloaded",
    "moved": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/login\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
}


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer every request with the same bytes, and hang up."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)
            self.close_connection = True

    with serving(Handler) as server:
        yield server.server_port


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_makes_no_sense(answer: bytes, tmp_path: Path, example_charts: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    with answering(answer) as port:
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                    "users": [{"name": "u", "user": {"token": "of-no-use"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        program = Program(kubeconfig=kubeconfig, folder=tmp_path, charts=str(example_charts))
        ran = program("install", "--region", "kr1", code=4)
    assert ran.error["code"] == "cluster"
    assert ran.error["hint"]
    assert f"127.0.0.1:{port}" in str(ran.error)
    assert "of-no-use" not in ran.stdout + ran.stderr
    assert ran.seconds < 15
