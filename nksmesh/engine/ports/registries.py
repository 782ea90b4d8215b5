"""What is asked of image registries: the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # every command imports the ports, and few ask a registry
    from nksmesh.domain.images.login import Login
    from nksmesh.domain.images.manifest import FoundManifest
    from nksmesh.domain.images.reference import Reference


class Registries(Protocol):
    """The registries that images lie in."""

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        """Return this machine's login for an image's registry, or None: the environment's, or also a stored one."""

    async def find(self, image: Reference, login: Login | None) -> FoundManifest:
        """Look for an image with one login, or without any."""
