"""Connections end, whatever state they are in."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING

from nksmesh.adapters.cluster.connections import Connections, aiohttp

if TYPE_CHECKING:
    import pytest


class Transport:
    """A transport of TLS as Python before 3.11.3 has it: one that was closed twice cannot be aborted."""

    def __init__(self, *, closed_twice: bool) -> None:
        self.closed_twice = closed_twice
        self.aborted = False

    def abort(self) -> None:
        if self.closed_twice:
            gone = None
            gone._abort()  # type: ignore[attr-defined]  # what Python did
        self.aborted = True


async def test_one_that_was_closed_twice_keeps_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    transports = [Transport(closed_twice=True), Transport(closed_twice=False)]
    waiting = iter(transports)

    async def connect(*_: object) -> SimpleNamespace:
        return SimpleNamespace(transport=next(waiting))

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect)
    connections = Connections(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for _ in transports:
        await connections.connect()
    await connections.end()
    assert [transport.aborted for transport in transports] == [False, True]
