"""Every registry of one run: a client for all, a connection and a token kept for each registry and login."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, Self

from nksmesh.adapters.http import open_http
from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registry import Registry
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.images.reference import Reference

AT_ONCE: Final = 8


class Registries:
    """The registries that a run asks. Use as an asynchronous context manager.

    Args:
        trust: As ``open_http`` takes it.
        plain_http: The registries that speak HTTP, beside those on this machine.

    Raises:
        ConfigError: As ``open_http`` says.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        credentials: Credentials,
        *,
        trust: ssl.SSLContext | None = None,
        plain_http: Collection[str] = (),
    ) -> None:
        # A session that a registry remembers by a cookie would let another login in.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self._http = open_http(environ, trust=trust, cookies=no_cookies)
        self._credentials = credentials
        self._plain = frozenset(plain_http)
        self._open: dict[tuple[str, Login | None], Registry] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        """Enter the context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        """Return this machine's login for an image's registry; None where it has none.

        Args:
            stored: Look into config.json and ask credential helpers, too, where the environment has none.

        Raises:
            ConfigError: As ``Credentials.login`` says.
        """
        return await self._credentials.login(image, stored=stored)

    async def find(self, image: Reference, login: Login | None) -> FoundManifest:
        """Look for an image in its registry, with one login or without any.

        Raises:
            ImageError: As ``Registry.find`` says.
        """
        return await self.at(image, login).find(image)

    async def prove(self, host: str, login: Login) -> bool:
        """Try a login at a registry; tell whether the registry asked for one at all.

        Raises:
            ImageError: As ``Registry.prove_login`` says.
        """
        return await self.at(Reference(host, ""), login).prove_login()

    def at(self, image: Reference, login: Login | None) -> Registry:
        """Return the registry that an image is of, for one login or for nobody's."""
        key = (image.server, login)
        if key not in self._open:
            plain = image.host in self._plain
            self._open[key] = Registry(self._http, image.server, login, plain=plain, turns=self._turns)
        return self._open[key]
