"""Istio's releases as they are published: an archive for each platform, and its .sha256 beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from nksmesh.adapters.downloads import DownloadError, Downloads
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.istioctl.archive import IstioctlArchive


class IstioReleases:
    """A server with the releases of Istio. Use as an asynchronous context manager.

    Args:
        url: The folder that has a folder for each version.

    Raises:
        ConfigError: As ``open_http`` says.
    """

    def __init__(self, environ: Mapping[str, str], url: str) -> None:
        self._downloads = Downloads(environ)
        self._url = url.rstrip("/")

    async def __aenter__(self) -> Self:
        """Enter the context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._downloads.__aexit__(kind, error, trace)

    async def digest(self, archive: IstioctlArchive) -> str:
        """Read the published digest of an archive, ``sha256:<hex>``.

        Raises:
            IstioctlError: It cannot be had.
        """
        try:
            checksum = await self._downloads.checksum(f"{self._address(archive)}.sha256", archive.name)
        except DownloadError as error:
            raise self._failed(archive, error) from error
        return f"sha256:{checksum}"

    async def pull(self, archive: IstioctlArchive, begun: int) -> AsyncGenerator[bytes, None]:
        """Read an archive in pieces, from a byte on.

        Raises:
            IstioctlError: It cannot be had, or breaks off.
        """
        try:
            async with aclosing(self._downloads.pull(self._address(archive), begun)) as pieces:
                async for piece in pieces:
                    yield piece
        except DownloadError as error:
            raise self._failed(archive, error) from error

    def _address(self, archive: IstioctlArchive) -> str:
        return f"{self._url}/{archive.version}/{archive.name}"

    def _failed(self, archive: IstioctlArchive, error: DownloadError) -> IstioctlError:
        said, shown = str(error), public_source(self._url)
        for own, public in ((self._url, shown), (urlsplit(self._url).netloc, urlsplit(shown).netloc)):
            said = said.replace(own, public)  # it may hold a password
        return IstioctlError(
            f"{archive.name} could not be downloaded: {said}",
            hint="Check that this machine can reach the server (HTTPS_PROXY is used), and run the same command again: "
            "it goes on where it was. Without internet, pass --from registry or --from FILE.",
            passing=True,
        )
