"""A small HTTPS server on a unix socket: what the egress proxy leads webhook and kubelet calls to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11

if TYPE_CHECKING:
    from pathlib import Path

_READ_BYTES: Final = 65_536
_IDLE_SECONDS: Final = 120.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request, whole."""

    method: str
    target: str
    body: bytes


@dataclass(frozen=True)
class Response:
    """An answer, whole."""

    body: bytes
    content_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK


Handler = Callable[[Request], Awaitable[Response]]


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make a server's TLS context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve(socket: Path, context: ssl.SSLContext, handler: Handler) -> asyncio.Server:
    """Listen on a unix socket until the server is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, handler)
        except (OSError, h11.RemoteProtocolError, TimeoutError) as error:
            logger.info("connection lost: %s", error)
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, socket, ssl=context)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        request = await _read(connection, reader)
        if request is None:
            return
        response = await _answer(handler, request)
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        for event in (
            h11.Response(status_code=response.status, headers=headers),
            h11.Data(data=response.body),
            h11.EndOfMessage(),
        ):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except Exception:
        # one bad request may not take the agent down; the API server sees a failed webhook
        logger.exception("%s %s failed", request.method, request.target)
        return Response(b"the sandbox's agent failed: see its log", "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(_IDLE_SECONDS):
                with contextlib.suppress(ConnectionResetError):
                    connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Request(head.method.decode(), head.target.decode(), bytes(body))
        else:
            return None
