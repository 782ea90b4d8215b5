"""The API server's way into the cluster: an HTTP CONNECT proxy on a unix socket.

Nothing listens on the address of a simulated pod, so the proxy decides who answers for it. What concerns pods with
processes is handed on to the data plane's own proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK: Final = 65_536
_HEAD_SECONDS: Final = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """Why nobody answers on an address."""

    reason: str


@dataclass(frozen=True)
class HandedOn:
    """Another proxy that understands CONNECT, and decides itself."""

    socket: Path


Route = Callable[[str, int], Path | HandedOn | Refusal]


async def serve_egress(socket: Path, route: Route) -> asyncio.Server:
    """Listen for CONNECT requests, and lead each to the socket that ``route`` names."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _tunnel(reader, writer, route)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            logger.info("a connection ended: %s", error)
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, socket)


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, route: Route) -> None:
    async with asyncio.timeout(_HEAD_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    method, address, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ", 2)
    host, _, port = address.rpartition(":")
    found: Path | HandedOn | Refusal
    if method == "CONNECT":
        found = route(host.strip("[]"), int(port))
    else:
        found = Refusal(f"only CONNECT is understood, not {method}")
    if not isinstance(found, Refusal):
        try:
            socket = found.socket if isinstance(found, HandedOn) else found
            there_reader, there_writer = await asyncio.open_unix_connection(socket)
        except OSError as error:
            found = Refusal(f"the agent's own server is gone: {error}")
    if isinstance(found, Refusal):
        logger.warning("refused a connection to %s: %s", address, found.reason)
        # the API server repeats the status line's words in its own error
        writer.write(f"HTTP/1.1 503 dial tcp {address}: connect: connection refused\r\n\r\n".encode())
        await writer.drain()
        return
    if isinstance(found, HandedOn):
        there_writer.write(head)
    else:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
    finally:
        there_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    # one side's end is the other's: half-open TLS connections carry nothing for us
    writer.close()
