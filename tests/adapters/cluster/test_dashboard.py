"""A dashboard's forward, from a port of this machine to small servers in place of pods: no add-on runs here."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.local_ports import listening
from nksmesh.domain.common.errors import ClusterError, ConfigError
from tests.adapters.cluster.small_api_server import PORT, SmallApiServer

SERVICE: dict[str, Any] = {
    "metadata": {"name": "kiali"},
    "spec": {"selector": {"app": "kiali"}, "ports": [{"name": "http", "port": PORT}]},
}


def pod(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "kiali"}},
        "spec": {"containers": [{"name": "kiali"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@asynccontextmanager
async def dashboard(folder: Path, server: SmallApiServer, *arguments: str) -> AsyncIterator[tuple[Process, int]]:
    """Run the program until the context ends, and wait until it says which pod it leads to."""
    command = [sys.executable, "-m", "nksmesh", "dashboard", "kiali", "--port", "0", "--no-browser", "-o", "json"]
    command += ["--kubeconfig", str(server.kubeconfig(folder)), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        line = await told(process, " leads to pod ")
        yield process, int(line.split("http://127.0.0.1:")[1].split("/")[0])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def told(process: Process, words: str) -> str:
    """Read what the program says until it says certain words."""
    assert process.stderr is not None
    heard = b""
    async with asyncio.timeout(60):
        while words not in (line := await process.stderr.readline()).decode():
            assert line, f"it ended: {heard.decode()}"
            heard += line
    return line.decode()


async def fetched(port: int, times: int = 1) -> list[str]:
    """Ask for a page, so many times over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    async with asyncio.timeout(30):
        for _ in range(times):
            writer.write(b"GET /kiali HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            answers.append((await reader.readexactly(length)).decode())
    writer.close()
    return answers


async def test_a_forward_to_a_small_server_survives_the_pods_replacement_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    async with SmallApiServer.running() as server:
        server.put("services", SERVICE)
        server.put("pods", pod("kiali-1"))
        async with dashboard(tmp_path, server) as (process, port):
            assert await fetched(port, times=3) == ["kiali-1"] * 3
            server.put("pods", pod("kiali-2"))
            server.remove("pods", "kiali-1")
            await told(process, " leads to pod kiali-2")
            assert await asyncio.gather(*(fetched(port) for _ in range(20))) == [["kiali-2"]] * 20
            process.send_signal(signal.SIGINT)
            stdout, stderr = await process.communicate()
        assert (process.returncode, b"Traceback" in stderr) == (0, False)
        data = json.loads(stdout)["data"]
        assert (data["connections"], data["pods"]) == (21, ["kiali-1", "kiali-2"])
        assert server.forwards == ["kiali-1", *["kiali-2"] * 20]


async def test_a_connection_that_is_open_does_not_keep_ctrl_c_from_ending_it(tmp_path: Path) -> None:
    async with SmallApiServer.running() as server:
        server.put("services", SERVICE)
        server.put("pods", pod("kiali-1"))
        async with dashboard(tmp_path, server) as (process, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                await process.communicate()
                assert await reader.read() == b""
            writer.close()
        assert process.returncode == 0


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with SmallApiServer.running() as server:
        server.put("services", SERVICE)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            command = [sys.executable, "-m", "nksmesh", "dashboard", "kiali", "--port", str(port)]
            kubeconfig = str(server.kubeconfig(tmp_path))
            process = await asyncio.create_subprocess_exec(
                *command, "--kubeconfig", kubeconfig, stdout=PIPE, stderr=PIPE
            )
            _, stderr = await process.communicate()
    assert process.returncode == 2
    assert f"error: cannot listen on 127.0.0.1, port {port}:" in stderr.decode()
    assert "--port 8080" in stderr.decode()


@pytest.mark.parametrize(("address", "port"), [("256.1.1.1", 0), ("192.0.2.1", 0), ("127.0.0.1", 70_000), ("a..b", 0)])
async def test_where_nothing_can_listen_is_named(address: str, port: int) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        async with listening(address, port, None):  # type: ignore[arg-type]  # nobody connects
            pass


class Refusing:
    """Opens nothing."""

    async def __aenter__(self) -> None:
        raise ClusterError("the pod is gone", hint="Look.")

    async def __aexit__(self, *_: object) -> None: ...


async def test_a_connection_that_leads_nowhere_is_closed_and_the_next_is_taken() -> None:
    async with listening("127.0.0.1", 0, Refusing) as port:  # type: ignore[arg-type]  # it opens nothing
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
