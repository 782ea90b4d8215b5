"""Credential helpers: the programs ``docker-credential-NAME`` that keep logins for Docker."""

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
from typing import Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.login import Login, stored_key

_NAME: Final = re.compile(r"[a-z0-9-]+")
_SECONDS: Final = 30.0
_TOKEN_USER: Final = "<token>"  # noqa: S105 - what a helper says instead of a user where its secret is a token


class CredentialHelper:
    """A helper that a config.json names.

    Args:
        name: As it stands there.
        config: That file, for messages.
        environ: Whose PATH it is looked up in.
    """

    def __init__(self, name: str, config: str, environ: Mapping[str, str]) -> None:
        self._name = name
        self._config = config
        self._environ = environ
        self._program = f"docker-credential-{name}"

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"the credential helper {self._program}"

    async def get(self, host: str) -> Login | None:
        """Ask for the login of a registry; None where it has none.

        Raises:
            ConfigError: It is not there, or fails.
        """
        code, out = await self._run("get", stored_key(host))
        if code:  # it has none: "credentials not found in native keychain", on stdout
            return None
        try:
            said = json.loads(out)
            user, secret = str(said["Username"]), str(said["Secret"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._failed("answers no login") from None
        if user == _TOKEN_USER:
            return Login(source=self.source, token=secret)
        return Login(source=self.source, username=user, password=secret) if user else None

    async def store(self, host: str, login: Login) -> None:
        """Have it keep the login of a registry.

        Raises:
            ConfigError: It is not there, or does not keep it.
        """
        said = {"ServerURL": stored_key(host), "Username": login.username, "Secret": login.password}
        code, _ = await self._run("store", json.dumps(said))
        if code:
            raise self._failed(f"does not store the login (it ended with {code})")

    async def erase(self, host: str) -> None:
        """Have it forget the login of a registry.

        Raises:
            ConfigError: It is not there, or does not forget it.
        """
        code, _ = await self._run("erase", stored_key(host))
        if code:
            raise self._failed(f"does not remove the login (it ended with {code})")

    async def _run(self, verb: str, text: str) -> tuple[int, bytes]:
        """Run it; its words may hold the secret, and are not shown."""
        if not _NAME.fullmatch(self._name):
            raise ConfigError(
                f"{self._config} names a credential helper that is not a name", hint="Names match [a-z0-9-]+."
            )
        path = shutil.which(self._program, path=self._environ.get("PATH"))
        if path is None:
            raise ConfigError(
                f"{self._config} names {self.source}, which is not on PATH", hint="Install it, or log in without it."
            )
        try:
            # A group of its own: what a helper starts holds its pipes, and has to end with it.
            process = await asyncio.create_subprocess_exec(
                path, verb, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, process_group=0
            )
        except OSError as error:
            raise self._failed(f"cannot be started: {error.strerror}") from error
        try:
            out, _ = await asyncio.wait_for(process.communicate(text.encode()), _SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise self._failed(f"did not answer within {_SECONDS:.0f} s") from None
        return process.returncode or 0, out

    def _failed(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.source} {problem}", hint=f"Run {self._program} list to see why.")
