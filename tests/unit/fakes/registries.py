"""Registries that are a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NoReturn

from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import INDEXES, FoundManifest
from nksmesh.domain.images.reference import Reference


class Table:
    """Registries that have what they are told, for those who are let in.

    Attributes:
        images: What they have, by the last part of an image's name.
        tags: The tags that each has; every tag where empty.
        lets_in: The users who may pull; None lets everybody.
        own: This machine's login, wherever it is from.
        of_environment: The environment's.
        asked: The images that were looked for.
        opened: The hubs that they were opened for.
        begun: The hubs that somebody began to open them for.
    """

    def __init__(self, **images: FoundManifest) -> None:
        self.images = images
        self.tags: set[str] = set()
        self.lets_in: set[str] | None = None
        self.own: Login | None = None
        self.of_environment: Login | None = None
        self.down = False
        self.slow = 0.0
        self.asked: list[str] = []
        self.opened: list[str] = []
        self.begun: list[str] = []

    def begin(self, hub: str) -> None:
        self.begun.append(hub)

    @asynccontextmanager
    async def open(self, hub: str) -> AsyncIterator[Table]:
        self.opened.append(hub)
        yield self

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        assert image.host.startswith("registry.example")
        return self.own if stored else self.of_environment

    async def find(self, image: Reference, login: Login | None) -> FoundManifest:
        self.asked.append(str(image))
        await asyncio.sleep(self.slow)
        if self.down:
            raise ImageError(f"the registry {image.host} cannot be reached", hint="x", passing=True)
        if self.lets_in is not None and (login is None or login.username not in self.lets_in):
            raise DeniedImageError("the registry refuses", hint="x")
        if image.repository.rpartition("/")[2] not in self.images or (self.tags and image.tag not in self.tags):
            raise MissingImageError(f"{image} does not exist", hint="x", detail="MANIFEST_UNKNOWN")
        return self.images[image.repository.rpartition("/")[2]]

    def at(self, image: Reference, login: Login | None) -> NoReturn:
        raise AssertionError(f"{image} is looked for, not read ({login})")


def index(*platforms: str) -> FoundManifest:
    return FoundManifest(digest=f"sha256:{'a' * 64}", media_type=min(INDEXES), platforms=platforms)


def istio(names: Iterable[str] = ("pilot", "proxyv2")) -> Table:
    """Registries with Istio's images."""
    return Table(**{name: index("linux/amd64") for name in names})
