"""aiohttp and what is used of the Kubernetes client over it, and the connections to one API server.

Every module here takes aiohttp from this one. The client's own ApiClient and its reader of kubeconfigs are left alone:
they import pydantic and the models of its answers, which takes an eighth of the processor time of a ``status``.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nksmesh.adapters.bare_packages import import_from_bare

if TYPE_CHECKING:
    from aiohttp.connector import Connection


@contextmanager
def _without_default_authorities() -> Iterator[None]:
    """Have no certificate authority of the system read.

    aiohttp makes a context for servers at large when it is imported, and reads every authority for it, in 50 ms. Only
    API servers are spoken to through it, each with the authority of its kubeconfig; whoever asked aiohttp for another
    server would be refused, for a context without authorities trusts none.
    """
    load = ssl.SSLContext.load_default_certs
    ssl.SSLContext.load_default_certs = lambda *_args, **_kwargs: None  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]  # as it was


with _without_default_authorities():
    import aiohttp

configuration, rest = import_from_bare(
    ("kubernetes", "kubernetes.aio"), "kubernetes.aio.client.configuration", "kubernetes.aio.client.rest"
)

__all__ = ["Connections", "aiohttp", "configuration", "rest"]


class Connections(aiohttp.TCPConnector):
    """Makes connections, and remembers those that are not closed yet.

    aiohttp lets go of the connection of a request that is cancelled, and closes it the polite way: TLS then waits for
    the server's farewell, for which the event loop may not live long enough. Watches end by being cancelled.
    """

    def __init__(self, context: ssl.SSLContext, **more: Any) -> None:
        """Make connections with a TLS context; without a limit, for every watch holds one."""
        super().__init__(limit=0, ssl=context, **more)
        self._transports: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    async def connect(self, *request: Any, **more: Any) -> Connection:
        """Return a connection, made or used again."""
        connection = await super().connect(*request, **more)
        if connection.transport is not None:
            self._transports.add(connection.transport)
        return connection

    async def end(self) -> None:
        """End every connection, also those that are being closed."""
        await self.close()
        for transport in self._transports:
            # before Python 3.11.3 one that was closed twice has nothing left to abort, and says so in this way
            with suppress(AttributeError):
                transport.abort()
        await asyncio.sleep(0)  # the sockets are closed in the event loop's next turn
