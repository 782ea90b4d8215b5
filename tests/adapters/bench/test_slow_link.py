"""The bench's slow link delays what it carries by the round trip, and holds nothing up or back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.link import slow_link

if TYPE_CHECKING:
    import pytest

ROUND_TRIP = 0.1
PIECES = 5


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1000):
        writer.write(piece)
    writer.close()
    await writer.wait_closed()


async def test_an_answer_takes_a_round_trip_and_pieces_do_not_wait_for_each_other() -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    with slow_link(server.sockets[0].getsockname()[1], ROUND_TRIP) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        for number in range(PIECES):
            writer.write(bytes([number]))
            await asyncio.sleep(ROUND_TRIP / PIECES / 2)
        assert await reader.readexactly(PIECES) == bytes(range(PIECES))
        assert ROUND_TRIP <= time.monotonic() - began < PIECES * ROUND_TRIP
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def test_connections_that_are_open_at_the_end_are_ended_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    with slow_link(server.sockets[0].getsockname()[1], ROUND_TRIP) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
    assert await reader.read() == b""
    writer.close()
    server.close()
    assert capfd.readouterr().err == ""
