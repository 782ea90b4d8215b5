"""Files that servers publish, with their checksums beside them: streamed to disk, and used only where both agree."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from nksmesh.adapters.http import SILENCE_SECONDS, open_http, reason_of, status_of

CONNECT_SECONDS: Final = 3.0
"""Where there is no internet this is all that is lost: what is downloaded here can be had in another way."""

_DIGEST: Final = re.compile("[0-9a-fA-F]{64}")
_MOST_CHECKSUMS: Final = 64 * 1024


class DownloadError(Exception):
    """A file that cannot be had: no connection, or an answer that is not the file."""


class ChecksumError(DownloadError):
    """A file that came, and is not the one that its checksum is of."""


class Downloads:
    """The downloads of one run. Use as an asynchronous context manager.

    Args:
        environ: As ``open_http`` takes it.

    Raises:
        ConfigError: As ``open_http`` says.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._http = open_http(environ, follow_redirects=True)
        self._http.timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)

    async def __aenter__(self) -> Self:
        """Enter the context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def checksum(self, url: str, name: str) -> str:
        """Read the SHA-256 of a file from what its project publishes: the digest alone, or ``DIGEST  NAME`` lines.

        Raises:
            DownloadError: There is none.
        """
        text = bytearray()

        def keep(part: bytes) -> None:
            text.extend(part)
            if len(text) > _MOST_CHECKSUMS:
                raise DownloadError(f"{url} is no list of checksums: it is too long")

        await self._stream(url, keep)
        for line in text.decode(errors="replace").splitlines():
            digest, _, of = line.strip().partition(" ")
            if _DIGEST.fullmatch(digest) and of.strip(" *") in {"", name}:
                return digest.lower()
        raise DownloadError(f"{url} has no checksum of {name}")

    async def pull(self, url: str, begun: int = 0) -> AsyncGenerator[bytes, None]:
        """Read a file in pieces; whoever reads it checks what it is.

        Args:
            begun: Bytes that are there already, and do not come again.

        Raises:
            DownloadError: It cannot be had, or breaks off.
        """
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        async with self._opened(url, headers) as answer:
            if begun and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is there
            resumed = answer.headers.get("content-range", "").startswith(f"bytes {begun}-")
            to_skip = 0 if answer.status_code == httpx.codes.PARTIAL_CONTENT and resumed else begun
            async for part in answer.aiter_raw():
                piece, to_skip = part[to_skip:], max(0, to_skip - len(part))
                yield piece

    async def save(self, url: str, path: Path, checksum: str, told: Callable[[int], None]) -> None:
        """Download a file.

        Args:
            checksum: The SHA-256 that it must have, in hexadecimal.
            told: Is called with the number of bytes of each part that came.

        Raises:
            DownloadError: It cannot be had.
            ChecksumError: It is another file.
            OSError: It cannot be written.
        """
        digest = hashlib.sha256()
        with path.open("wb") as file:

            def write(part: bytes) -> None:
                digest.update(part)
                file.write(part)
                told(len(part))

            await self._stream(url, write)
        if digest.hexdigest() != checksum:
            raise ChecksumError(f"{url} has the SHA-256 {digest.hexdigest()}, and {checksum} is published")

    async def _stream(self, url: str, take: Callable[[bytes], None]) -> None:
        async with aclosing(self.pull(url)) as parts:
            async for part in parts:
                take(part)

    @asynccontextmanager
    async def _opened(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        try:
            async with self._http.stream("GET", url, headers={"Accept-Encoding": "identity", **headers}) as answer:
                nothing_left = answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers
                if not answer.is_success and not nothing_left:
                    raise DownloadError(f"{url}: {status_of(answer)}")
                yield answer
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            no_answer = f"no connection within {CONNECT_SECONDS:.0f} s"
            why = no_answer if isinstance(error, httpx.ConnectTimeout) else reason_of(error)
            raise DownloadError(f"{urlsplit(url).netloc} cannot be reached: {why}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(f"{url}: {reason_of(error)}") from error
