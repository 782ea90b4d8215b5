"""A slow link: a TCP proxy before the API server that hands every piece of data on half a round trip later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_HOST: Final = "127.0.0.1"
_PIECE: Final = 65536


@contextmanager
def slow_link(port: int, round_trip: float, *, before: int = 0) -> Iterator[int]:
    """Serve a slow way to a port of this machine.

    What is sent is delayed, and not held up: pieces follow each other as they were sent. Making a connection costs no
    round trip, which favours whoever makes more connections.

    Args:
        port: The port on loopback that is behind the link.
        round_trip: Seconds that a piece of data and its answer take together on the link.
        before: The port on loopback that is before the link: Helm keeps what it discovers of a cluster by host and
            port. 0 for any that is free.

    Yields:
        The port on loopback that is before the link.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slow link", daemon=True)
    thread.start()
    carrying: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            carrying.add(task)
            task.add_done_callback(carrying.discard)
        there, back = await asyncio.open_connection(_HOST, port)
        try:
            await asyncio.gather(_carry(reader, back, round_trip / 2), _carry(there, writer, round_trip / 2))
        except asyncio.CancelledError:
            return  # by end(): the server would print it, if it got out
        finally:
            for end_of in (writer, back):
                end_of.close()
                with suppress(OSError):
                    await end_of.wait_closed()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(accept, _HOST, before)

    async def end() -> None:
        server.close()
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Carry one direction of a connection to its end."""
    clock = asyncio.get_running_loop().time
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(max(due - clock(), 0.0))
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    async def take() -> None:
        piece = b"."
        while piece:
            try:
                piece = await reader.read(_PIECE)
            except OSError:
                piece = b""
            on_the_way.put_nowait((clock() + delay, piece))

    with suppress(OSError):
        await asyncio.gather(take(), deliver())
