"""What is asked of image registries: the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # every command imports the ports, and few ask a registry
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from nksmesh.domain.images.login import Login
    from nksmesh.domain.images.manifest import Descriptor, FoundManifest, Manifest
    from nksmesh.domain.images.reference import Reference


class ImageReader(Protocol):
    """What images are read from; each is named in full."""

    async def digest(self, image: Reference) -> str:
        """Return the digest of what an image's name stands for."""

    async def read(self, image: Reference) -> Manifest:
        """Read the manifest or the index under an image's name."""

    def pull(self, image: Reference, blob: Descriptor) -> AsyncGenerator[bytes, None]:
        """Read a blob in pieces; the last one comes only when the digest of all is right."""


class Registry(ImageReader, Protocol):
    """One registry, with one login or for nobody's."""

    def pull(self, image: Reference, blob: Descriptor, begun: int = 0) -> AsyncGenerator[bytes, None]:
        """Read a blob in pieces, from a byte on: then the digest of all is for the caller to check."""

    async def write(self, image: Reference, manifest: Manifest) -> None:
        """Put a manifest under an image's name."""

    async def has(self, image: Reference, blob: Descriptor) -> bool:
        """Tell whether an image's repository has a blob."""

    async def push(
        self,
        image: Reference,
        blob: Descriptor,
        content: Callable[[], AsyncGenerator[bytes, None]],
        *,
        mount_from: str = "",
    ) -> bool:
        """Write a blob, or mount it from a repository of the same registry; tell whether it was mounted."""


class LoginProof(Protocol):
    """What tries a login."""

    async def prove(self, host: str, login: Login) -> bool:
        """Try a login at a registry; tell whether the registry asked for one at all."""


class StoredLogins(Protocol):
    """The logins that this machine keeps."""

    async def store(self, host: str, login: Login) -> str:
        """Keep a login for a registry; return where, for a reader."""

    async def remove(self, host: str) -> tuple[str, ...]:
        """Forget a registry's login; return where it was kept."""


class Registries(Protocol):
    """The registries that images lie in."""

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        """Return this machine's login for an image's registry, or None: the environment's, or also a stored one."""

    async def find(self, image: Reference, login: Login | None) -> FoundManifest:
        """Look for an image with one login, or without any."""

    def at(self, image: Reference, login: Login | None) -> Registry:
        """Return the registry that an image is of."""


class RegistryAccess(Protocol):
    """What opens registries."""

    def begin(self, hub: str) -> None:
        """Begin to open them, beside what else is done."""

    def open(self, hub: str) -> AbstractAsyncContextManager[Registries]:
        """Open them; the environment's login is for the hub's where it names no host."""
