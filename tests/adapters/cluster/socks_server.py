"""A SOCKS5 proxy on this machine (RFC 1928, 1929): it says what it was asked, and knows names that nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

_NO_LOGIN, _LOGIN, _REFUSED = 0, 2, 0xFF
_NAME, _IPV4 = 3, 1
_HOST_UNREACHABLE = 4


@dataclass
class SocksServer:
    """What a proxy knows and was asked.

    Attributes:
        knows: Where a host and port lead; what is not in it cannot be reached.
        login: The user and password that it wants; None for nobody's.
        port: Where it listens on 127.0.0.1.
        asked: What it was asked for, as HOST:PORT.
    """

    knows: Mapping[str, tuple[str, int]]
    login: tuple[str, str] | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if await self._greeted(reader, writer):
                await self._connect(reader, writer)

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        method = _NO_LOGIN if self.login is None else _LOGIN
        if method not in methods:
            writer.write(bytes([5, _REFUSED]))
            return False
        writer.write(bytes([5, method]))
        if self.login is None:
            return True
        await reader.readexactly(1)
        given = [(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)]
        writer.write(bytes([1, tuple(given) != self.login]))
        return tuple(given) == self.login

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = (await reader.readexactly(4))[3]
        if kind == _NAME:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == _IPV4 else 16)))
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(f"{host}:{port}")
        leads_to = self.knows.get(self.asked[-1])
        if leads_to is None:
            writer.write(bytes([5, _HOST_UNREACHABLE, 0, _IPV4, 0, 0, 0, 0, 0, 0]))
            return
        behind, to_behind = await asyncio.open_connection(*leads_to)
        with contextlib.closing(to_behind):
            writer.write(bytes([5, 0, 0, _IPV4, 0, 0, 0, 0, 0, 0]))
            ways = {asyncio.create_task(_pass(reader, to_behind)), asyncio.create_task(_pass(behind, writer))}
            _, open_ways = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in open_ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()


@contextlib.asynccontextmanager
async def serving_socks(
    knows: Mapping[str, tuple[str, int]], login: tuple[str, str] | None = None
) -> AsyncIterator[SocksServer]:
    """Serve SOCKS5 while the context lasts."""
    proxy = SocksServer(knows, login)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
