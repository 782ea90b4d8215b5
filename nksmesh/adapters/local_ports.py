"""Ports of this machine that lead somewhere else: each connection is copied both ways until one side hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final, Protocol

from nksmesh.domain.common.errors import ConfigError, MeshError

_CHUNK: Final = 65_536


class _Connection(Protocol):
    async def send(self, data: bytes) -> None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


_Connect = Callable[[], AbstractAsyncContextManager[_Connection]]


@asynccontextmanager
async def listening(address: str, port: int, connect: _Connect) -> AsyncIterator[int]:
    """Listen on a port while the context lasts, and lead each connection to what ``connect`` opens.

    Args:
        port: 0 for any that is free.
        connect: Its MeshErrors end the one connection, without a word: whoever gives it has told them.

    Yields:
        The port.

    Raises:
        ConfigError: Nothing can listen there.
    """
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_led(reader, writer, connect))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        server = await asyncio.start_server(accepted, address, port)
    except (OSError, OverflowError, UnicodeError) as problem:
        raise ConfigError(
            f"cannot listen on {address}, port {port}: {getattr(problem, 'strerror', None) or problem}",
            hint="Pass another port with --port, such as --port 8080, or another --address.",
        ) from problem
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _led(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: _Connect) -> None:
    try:
        with suppress(MeshError, OSError):
            async with connect() as connection:
                await _copied(reader, writer, connection)
    finally:
        writer.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection) -> None:
    """Copy both ways; a port-forward cannot be closed on one side alone, so the first end is the end of both."""

    async def there() -> None:
        while chunk := await reader.read(_CHUNK):
            await connection.send(chunk)

    async def back() -> None:
        async for chunk in connection:
            writer.write(chunk)
            await writer.drain()

    ways = [asyncio.create_task(there()), asyncio.create_task(back())]
    try:
        ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ended:
            way.result()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
