"""A small HTTPS server on a unix socket: what the egress proxy leads webhook and kubelet calls to."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

_MOST_BYTES: Final = 8 << 20
"""Of a request. The API server takes objects of up to 3 MB, and a review may hold an object and its older state."""


@dataclass(frozen=True)
class Request:
    """A request, whole."""

    target: str
    body: bytes


@dataclass(frozen=True)
class Response:
    """An answer, whole."""

    body: bytes
    content_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK


Handler = Callable[[Request], Awaitable[Response]]
Server = web.AppRunner


def server_context(stem: Path) -> ssl.SSLContext:
    """Make the TLS context of a server, whose files are the stem and ``.crt`` or ``.key``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve(socket: Path, context: ssl.SSLContext, handler: Handler) -> Server:
    """Listen on a unix socket until what is returned is cleaned up. A handler that fails is logged, and answers 500."""

    async def answer(request: web.Request) -> web.Response:
        response = await handler(Request(request.path_qs, await request.read()))
        return web.Response(body=response.body, content_type=response.content_type, status=response.status)

    application = web.Application(client_max_size=_MOST_BYTES)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.UnixSite(runner, socket, ssl_context=context).start()
    return runner
