"""The logins that this machine has for registries: the environment's, Docker's config.json, and credential helpers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nksmesh.adapters.registry.credential_helper import CredentialHelper
from nksmesh.adapters.registry.docker_config import DockerConfig
from nksmesh.domain.images.login import Login, login_for
from nksmesh.domain.images.reference import Reference

USERNAME: Final = "NKSMESH_REGISTRY_USERNAME"
PASSWORD: Final = "NKSMESH_REGISTRY_PASSWORD"  # noqa: S105 - the variable's name
HOST: Final = "NKSMESH_REGISTRY_HOST"


class Credentials:
    """The logins of one run: config.json is read once, and a helper is asked once for a host.

    Args:
        config: Docker's config.json, or None for DOCKER_CONFIG's or ``~/.docker/config.json``.
        hub_host: The registry that the environment's login is for where it names none.
    """

    def __init__(self, environ: Mapping[str, str], *, config: Path | None = None, hub_host: str = "") -> None:
        self._environ = environ
        self._config = DockerConfig(environ, config)
        self._hub_host = environ.get(HOST) or hub_host
        self._asked: dict[str, asyncio.Task[Login | None]] = {}

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        """Return this machine's login for an image's registry; None where it has none.

        Args:
            stored: Look into config.json and ask credential helpers, too, where the environment has none.

        Raises:
            ConfigError: config.json cannot be read, or names a helper that is not there or fails.
        """
        if self._environ.get(USERNAME) and image.host == self._hub_host:
            password = self._environ.get(PASSWORD, "")
            return Login(source=USERNAME, username=self._environ[USERNAME], password=password)
        if not stored:
            return None
        if name := self._config.helper(image.host):
            if image.host not in self._asked:
                helper = CredentialHelper(name, str(self._config.path), self._environ)
                self._asked[image.host] = asyncio.create_task(helper.get(image.host))
            if (found := await asyncio.shield(self._asked[image.host])) is not None:
                return found
        return login_for(image, self._config.logins())


class StoredLogins:
    """The logins that this machine keeps, to be changed.

    Args:
        config: Docker's config.json, or None for DOCKER_CONFIG's or ``~/.docker/config.json``; made where it is not.
    """

    def __init__(self, environ: Mapping[str, str], *, config: Path | None = None) -> None:
        self._environ = environ
        self._config = DockerConfig(environ, config, must_exist=False)

    def check(self, host: str) -> None:
        """See that a login could be stored, before its user is asked for it.

        Raises:
            ConfigError: config.json cannot be read, or is no Docker configuration.
        """
        self._config.logins()
        self._config.helper(host)

    async def store(self, host: str, login: Login) -> str:
        """Keep a login for a registry: with the credential helper that config.json names for it, or in that file.

        Returns:
            Where it is kept, for a reader.

        Raises:
            ConfigError: config.json cannot be read or written, or the helper fails.
        """
        if helper := self._helper(host):
            await helper.store(host, login)
            self._config.write(host, {})  # as Docker does: a password that stood there goes
            return helper.source
        self._config.write(host, {"auth": login.basic.partition(" ")[2]})
        return str(self._config.path)

    async def remove(self, host: str) -> tuple[str, ...]:
        """Forget a registry's login.

        Returns:
            Where it was kept; nothing where there was none.

        Raises:
            ConfigError: config.json cannot be read or written, or the helper fails.
        """
        removed = []
        helper = self._helper(host)
        if helper and await helper.get(host) is not None:
            await helper.erase(host)
            removed.append(helper.source)
        had = host in self._config.logins()
        if self._config.write(host, None) and had:
            removed.append(str(self._config.path))
        return tuple(removed)

    def _helper(self, host: str) -> CredentialHelper | None:
        name = self._config.helper(host)
        return CredentialHelper(name, str(self._config.path), self._environ) if name else None
