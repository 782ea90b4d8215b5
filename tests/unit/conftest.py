"""Unit tests touch no world: a process, a connection or a name look-up fails the test that asks for it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from typing import Any, NoReturn

import pytest


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **_kwargs: Any) -> NoReturn:
        asked = next((arg for arg in args if not isinstance(arg, socket.socket)), "")
        pytest.fail(f"a unit test {what}: {asked!r}; such a test belongs to tests/adapters or tests/cluster")

    return refuse


@pytest.fixture(autouse=True)
def no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything that reaches out of this process fail."""
    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, _refused("started a process"))
    for name in ("create_subprocess_exec", "create_subprocess_shell"):
        monkeypatch.setattr(asyncio, name, _refused("started a process"))
    for name in ("system", "fork", "posix_spawn", "execv", "execve"):
        monkeypatch.setattr(os, name, _refused("started a process"))
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _refused("opened a connection"))
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, _refused("opened a connection"))
