"""The blobs of images: read in pieces, checked while they pass, taken up again where a download broke off."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import urlencode

import httpcore
import httpx

from nksmesh.adapters.http import certificate_error, reason_of
from nksmesh.adapters.registry.requests import ATTEMPTS, Requests, Stream
from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.images.manifest import Descriptor
from nksmesh.domain.images.reference import Reference

PIECE: Final = 1024 * 1024
"""Bytes that are put together before they go on: each pass through httpx costs more time than the copying."""

httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = 256 * 1024
"""What asyncio reads at once. With httpcore's own 64 KiB a copy of 200 MB takes a fifth more processor time."""

PAUSE: Final = 0.3
"""Seconds before a broken download is taken up again; twice as long each time that nothing came."""

_AS_STORED: Final = {"Accept-Encoding": "identity"}
_REFUSED: Final = frozenset({400, 401, 403, 404, 405})
"""What registries answer to a mount that they do not allow: then the blob is moved."""


class Blobs:
    """The blobs that a registry has, for one login."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._transport = requests.transport

    async def has(self, image: Reference, blob: Descriptor) -> bool:
        """Tell whether an image's repository has a blob.

        Raises:
            DeniedImageError: This login may not ask.
            ImageError: The registry cannot be reached, or answers nonsense.
        """
        answer = await self._requests.send("HEAD", _path(image, blob), _pushing(image), _AS_STORED)
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise self._transport.failure(answer, _named(image, blob))
        return answer.is_success

    async def pull(self, image: Reference, blob: Descriptor, begun: int = 0) -> AsyncGenerator[bytes, None]:
        """Read a blob; the last piece comes only when the digest of all of them is right.

        Args:
            begun: Bytes that are there already, and do not come again: whoever has them checks the digest of all.

        Raises:
            MissingImageError: It is not there.
            DeniedImageError: This login may not pull from there.
            ImageError: It cannot be read to its end, or is not what the digest names.
        """
        state, at, failures = hashlib.sha256(), begun, 0
        pieces: list[bytes] = []
        waiting = 0
        while at < blob.size:
            answer = await self._opened(image, blob, at)
            before = at
            to_skip = 0 if answer.status_code == httpx.codes.PARTIAL_CONTENT else at
            try:
                async for read in answer.aiter_raw():
                    piece, to_skip = read[to_skip:], max(0, to_skip - len(read))
                    at += len(piece)
                    pieces.append(piece)
                    waiting += len(piece)
                    if waiting >= PIECE and at < blob.size:
                        whole, pieces, waiting = b"".join(pieces), [], 0
                        state.update(whole)
                        yield whole
                    if at > blob.size:
                        break
            except httpx.TransportError as error:
                failures = 1 if at > before else failures + 1
                if failures >= ATTEMPTS or certificate_error(error):
                    raise self._broken(image, blob, at, reason_of(error)) from error
                await asyncio.sleep(PAUSE * 2**failures)
                continue
            finally:
                await answer.aclose()
            if at < blob.size:
                raise self._broken(image, blob, at, "the registry has no more of it")
        last = b"".join(pieces)
        state.update(last)
        found = f"sha256:{state.hexdigest()}"
        if at > blob.size or (found != blob.digest and not begun):
            raise ImageError(
                f"{_named(image, blob)}: the registry's answer is not what the digest names",
                hint="Ask whoever runs the registry: what it stores may be damaged.",
                detail=f"expected: {blob.digest}, {blob.size} bytes\nit is: {found}, {at} bytes",
            )
        yield last

    async def push(
        self,
        image: Reference,
        blob: Descriptor,
        content: Stream,
        *,
        mount_from: str = "",
    ) -> bool:
        """Write a blob into an image's repository.

        A download that broke off goes on where it was, an upload that did starts again: distribution 2.8 gives the
        session up with the connection.

        Args:
            content: Makes the stream of its bytes, anew for each attempt.
            mount_from: A repository of the same registry that has it, or may have it.

        Returns:
            Whether it was mounted: nothing was moved then.

        Raises:
            DeniedImageError: This login may not push there.
            ImageError: The registry cannot be reached, or does not take it; or what ``content`` raises.
        """
        answer = await self._requests.retried(lambda: self._pushed(image, blob, content, mount_from))
        if answer.status_code != httpx.codes.CREATED:
            raise self._transport.failure(answer, _named(image, blob), to="push")
        return answer.request.method == "POST"

    async def _pushed(self, image: Reference, blob: Descriptor, content: Stream, mount_from: str) -> httpx.Response:
        uploads, scope, nothing = f"/v2/{image.repository}/blobs/uploads/", _pushing(image), {"Content-Length": "0"}
        answer = None
        if mount_from:
            both = f"{scope} repository:{mount_from}:pull"
            query = urlencode({"mount": blob.digest, "from": mount_from})
            answer = await self._requests.attempt("POST", f"{uploads}?{query}", both, nothing)
        if answer is None or answer.status_code in _REFUSED:
            answer = await self._requests.attempt("POST", uploads, scope, nothing)
        if answer.status_code != httpx.codes.ACCEPTED:
            return answer
        where = answer.headers.get("location", "")
        where += ("&" if "?" in where else "?") + urlencode({"digest": blob.digest})
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        return await self._requests.attempt("PUT", where, scope, headers, content=content)

    async def _opened(self, image: Reference, blob: Descriptor, at: int) -> httpx.Response:
        """Begin to read a blob, from a byte on where the registry can."""
        headers = {**_AS_STORED, **({"Range": f"bytes={at}-"} if at else {})}
        scope = f"repository:{image.repository}:pull"
        answer = await self._requests.send("GET", _path(image, blob), scope, headers, streamed=True)
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            if answer.headers.get("content-range", "").startswith(f"bytes {at}-"):
                return answer
            await answer.aclose()
            raise self._broken(image, blob, at, "the registry answers with another part of it than was asked for")
        if answer.status_code != httpx.codes.OK:
            raise self._transport.failure(answer, _named(image, blob))
        return answer

    def _broken(self, image: Reference, blob: Descriptor, at: int, reason: str) -> ImageError:
        return ImageError(
            f"{_named(image, blob)} broke off after {at} of {blob.size} bytes: {reason}",
            hint="Run the same command again: what is there is not moved again.",
            passing=True,
        )


def _path(image: Reference, blob: Descriptor) -> str:
    return f"/v2/{image.repository}/blobs/{blob.digest}"


def _pushing(image: Reference) -> str:
    return f"repository:{image.repository}:pull,push"


def _named(image: Reference, blob: Descriptor) -> str:
    return f"{image.host}/{image.repository}@{blob.digest}"
