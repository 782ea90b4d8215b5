"""The TCP connections to one API server, which all end when the program has done with it."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import TYPE_CHECKING, Any

from nksmesh.adapters.cluster.library import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection


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
            transport.abort()
        await asyncio.sleep(0)  # the sockets are closed in the event loop's next turn
