"""Bundles on disk: the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # every command imports the ports, and few know bundles
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from nksmesh.domain.bundles.contents import BundleContents


class Bundle(Protocol):
    """A bundle that is there."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def size(self) -> int:
        """The file's size, in bytes."""

    @property
    def contents(self) -> BundleContents:
        """What it says it holds."""

    def has(self, name: str) -> bool:
        """Tell whether it has a file."""

    def read(self, name: str) -> bytes:
        """Read a small file, which must be what the list says."""

    def stream(self, name: str) -> AsyncGenerator[bytes, None]:
        """Read a file in pieces; the last one comes only when the digest of all is right."""

    async def verify(self) -> None:
        """Hold every file against the list."""

    def digest(self) -> str:
        """Return the digest of the whole file, 64 hexadecimal digits."""


class Bundles(Protocol):
    """What writes bundles."""

    async def write(
        self,
        path: Path,
        contents: BundleContents,
        parts: Mapping[str, bytes | Callable[[], AsyncGenerator[bytes, None]]],
        told: Callable[[int], None],
        *,
        private: bool = False,
    ) -> str:
        """Write a bundle, whole or not at all, and return its digest."""
