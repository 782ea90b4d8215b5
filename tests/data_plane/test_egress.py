"""What the agent does not answer itself is answered by the data plane's own proxy."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nksmesh.sandbox.agent.egress import HandedOn, serve_egress


async def test_what_is_handed_on_is_answered_by_the_other_proxy(tmp_path: Path) -> None:
    heads = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 nobody is there\r\n\r\n")
        writer.close()

    there = await asyncio.start_unix_server(other, tmp_path / "there")
    here = await serve_egress(tmp_path / "here", lambda _host, _port: HandedOn(tmp_path / "there"))
    async with there, here:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "here")
        writer.write(b"CONNECT 10.96.0.9:443 HTTP/1.1\r\n\r\n")
        assert await reader.read() == b"HTTP/1.1 503 nobody is there\r\n\r\n"
        writer.close()

    assert heads == [b"CONNECT 10.96.0.9:443 HTTP/1.1\r\n\r\n"]
