"""The logins that this machine has for registries: the environment's, Docker's config.json, and credential helpers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home
from nksmesh.domain.images.login import Login, login_for, logins_of
from nksmesh.domain.images.reference import DOCKER_HUB, Reference

USERNAME: Final = "NKSMESH_REGISTRY_USERNAME"
PASSWORD: Final = "NKSMESH_REGISTRY_PASSWORD"  # noqa: S105 - the variable's name
HOST: Final = "NKSMESH_REGISTRY_HOST"
_HELPER: Final = re.compile(r"[a-z0-9-]+")
_HELPER_SECONDS: Final = 30.0
_HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_KEYS: Final = (_HUB_KEY, "index.docker.io")
_TOKEN_USER: Final = "<token>"  # noqa: S105 - what a helper says instead of a user where its secret is a token


class Credentials:
    """The logins of one run: config.json is read once, and a helper is asked once for a host.

    Args:
        config: Docker's config.json, or None for DOCKER_CONFIG's or ``~/.docker/config.json``.
        hub_host: The registry that the environment's login is for where it names none.
    """

    def __init__(self, environ: Mapping[str, str], *, config: Path | None = None, hub_host: str = "") -> None:
        self._environ = environ
        self._path = config or at_home(environ.get("DOCKER_CONFIG") or "~/.docker") / "config.json"
        self._must_exist = config is not None
        self._hub_host = environ.get(HOST) or hub_host
        self._config: dict[str, Any] | None = None
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
        config = self._read()
        if helper := self._helper(config, image.host):
            if image.host not in self._asked:
                self._asked[image.host] = asyncio.create_task(self._of_helper(helper, image.host))
            if (found := await asyncio.shield(self._asked[image.host])) is not None:
                return found
        return login_for(image, logins_of(config, str(self._path)))

    def _helper(self, config: Mapping[str, Any], host: str) -> str:
        """Choose the credential helper for a host; an empty one is meant to say that there is none."""
        helpers = config.get("credHelpers") or {}
        if not isinstance(helpers, dict):
            raise ConfigError(
                f"{self._path} has no usable logins: credHelpers is not a map", hint="Write HOST: HELPER in it."
            )
        keys = (host, *_HUB_KEYS) if host == DOCKER_HUB else (host,)
        named = next((helpers[key] for key in keys if key in helpers), config.get("credsStore"))
        return str(named or "")

    def _read(self) -> dict[str, Any]:
        if self._config is None:
            self._config = self._parsed()
        return self._config

    def _parsed(self) -> dict[str, Any]:
        hint = "Check the path, or write the file with docker login."
        try:
            config = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            if self._must_exist:
                raise ConfigError(f"{self._path} does not exist", hint=hint) from None
            return {}
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}", hint=hint) from error
        except (ValueError, RecursionError):  # its words would repeat a piece of the file
            raise ConfigError(f"{self._path} is not JSON", hint=hint) from None
        if not isinstance(config, dict):
            raise ConfigError(f"{self._path} is not a JSON object", hint=hint)
        return config

    async def _of_helper(self, name: str, host: str) -> Login | None:
        program = f"docker-credential-{name}"
        source = f"the credential helper {program}"
        if not _HELPER.fullmatch(name):
            raise ConfigError(
                f"{self._path} names a credential helper that is not a name", hint="Names match [a-z0-9-]+."
            )
        path = shutil.which(program, path=self._environ.get("PATH"))
        if path is None:
            raise ConfigError(
                f"{self._path} names {source}, which is not on PATH", hint="Install it, or log in without it."
            )
        try:
            # A group of its own: what a helper starts holds its pipes, and has to end with it.
            process = await asyncio.create_subprocess_exec(
                path, "get", stdin=PIPE, stdout=PIPE, stderr=DEVNULL, process_group=0
            )
        except OSError as error:
            raise ConfigError(
                f"{source} cannot be started: {error.strerror}", hint=f"Run {program} list to see why."
            ) from error
        key = _HUB_KEY if host == DOCKER_HUB else host
        try:
            out, _ = await asyncio.wait_for(process.communicate(key.encode()), _HELPER_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise ConfigError(
                f"{source} did not answer within {_HELPER_SECONDS:.0f} s", hint=f"Run {program} list to see why."
            ) from None
        if process.returncode:  # it has none: "credentials not found in native keychain", on stdout
            return None
        try:
            said = json.loads(out)
            user, secret = str(said["Username"]), str(said["Secret"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConfigError(f"{source} answers no login", hint=f"Run {program} list to see why.") from None
        if user == _TOKEN_USER:
            return Login(source=source, token=secret)
        return Login(source=source, username=user, password=secret) if user else None
