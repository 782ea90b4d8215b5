"""The guard of the unit tests is itself at work."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import urllib.request

import pytest


def test_a_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(pytest.fail.Exception, match="started a process"):
        subprocess.run(["true"], check=True)


async def test_a_unit_test_cannot_start_a_process_by_asyncio() -> None:
    with pytest.raises(pytest.fail.Exception, match="started a process"):
        await asyncio.create_subprocess_exec("true")


def test_a_unit_test_cannot_connect() -> None:
    with socket.socket() as unconnected, pytest.raises(pytest.fail.Exception, match="opened a connection"):
        unconnected.connect(("127.0.0.1", 9))


def test_a_unit_test_cannot_look_a_name_up() -> None:
    with pytest.raises(pytest.fail.Exception, match="opened a connection"):
        urllib.request.urlopen("http://localhost:9/")
