"""Programs that their projects publish: downloaded, and used only where the published checksums agree."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from nksmesh.adapters.downloads import DownloadError, Downloads
from nksmesh.sandbox.builds import Build, Host, Published

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Go calls the processors that programs are published for."""


class Publishers:
    """Where programs are downloaded from.

    Args:
        hosts: The address of each server, where it is not the publisher's own.
        machine: The processor that the programs are for, as the system names it.
    """

    def __init__(self, hosts: Mapping[Host, str] | None = None, *, machine: str = platform.machine()) -> None:
        self._hosts = dict(hosts or {})
        self._machine = machine

    async def download(self, build: Build, folder: Path, told: Callable[[int], None]) -> None:
        """Download the programs of a build into a folder: all of them, or it fails.

        Args:
            told: Is called with the number of bytes of each part that came.

        Raises:
            DownloadError: One of them cannot be had.
            ChecksumError: One of them is not what its project published.
            OSError: The folder cannot be written.
        """
        if (arch := ARCHITECTURES.get(self._machine)) is None:
            raise DownloadError(f"no programs are published for {self._machine}")
        async with Downloads(os.environ) as downloads:
            tasks = [
                asyncio.create_task(self._fetch(name, published, arch, folder, downloads, told))
                for name, published in build.published.items()
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(
        self,
        name: str,
        published: Published,
        arch: str,
        folder: Path,
        downloads: Downloads,
        told: Callable[[int], None],
    ) -> None:
        base = self._hosts.get(published.host, published.host.value)
        url, checksums = (f"{base}/{path.format(arch=arch)}" for path in (published.path, published.checksums))
        checksum = await downloads.checksum(checksums, url.rpartition("/")[2])
        came = folder / f".{name}"
        await downloads.save(url, came, checksum, told)
        if published.member:
            await asyncio.to_thread(_extract, url, came, published.member.format(arch=arch), folder / name)
            came.unlink()
        else:
            came.rename(folder / name)
        (folder / name).chmod(0o755)


def _extract(url: str, archive: Path, member: str, to: Path) -> None:
    nothing = f"{url} has no {member}"
    try:
        with tarfile.open(archive) as opened, to.open("wb") as file:
            if found := opened.extractfile(member):
                shutil.copyfileobj(found, file)
                return
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise DownloadError(nothing) from error
    raise DownloadError(nothing)  # a folder
