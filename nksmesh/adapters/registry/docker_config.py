"""Docker's config.json: the logins that it holds, and which credential helper keeps those of a registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home
from nksmesh.domain.images.login import HUB_KEY, Login, key_of, logins_of, stored_key
from nksmesh.domain.images.reference import DOCKER_HUB

_HUB_KEYS: Final = (HUB_KEY, "index.docker.io")


class DockerConfig:
    """A config.json, which is read once.

    Args:
        named: Its path; None for DOCKER_CONFIG's or ``~/.docker/config.json``.
        must_exist: A path that was named has to be there.
    """

    def __init__(self, environ: Mapping[str, str], named: Path | None, *, must_exist: bool = True) -> None:
        self.path = named or at_home(environ.get("DOCKER_CONFIG") or "~/.docker") / "config.json"
        self._must_exist = must_exist and named is not None
        self._read: dict[str, Any] | None = None

    def logins(self) -> dict[str, Login]:
        """Return the logins in it, by their keys.

        Raises:
            ConfigError: It cannot be read, or is no Docker configuration.
        """
        return logins_of(self._content(), str(self.path))

    def helper(self, host: str) -> str:
        """Return the name of the credential helper for a registry; an empty one is meant to say that there is none.

        Raises:
            ConfigError: It cannot be read, or is no Docker configuration.
        """
        config = self._content()
        helpers = config.get("credHelpers") or {}
        if not isinstance(helpers, dict):
            raise ConfigError(
                f"{self.path} has no usable logins: credHelpers is not a map", hint="Write HOST: HELPER in it."
            )
        keys = (host, *_HUB_KEYS) if host == DOCKER_HUB else (host,)
        named = next((helpers[key] for key in keys if key in helpers), config.get("credsStore"))
        return str(named or "")

    def write(self, host: str, entry: Mapping[str, str] | None) -> bool:
        """Write what it has of a registry, and leave everything else in it as it is.

        Args:
            entry: What stands below ``auths``; empty where a helper keeps the login, None to take it out.

        Returns:
            Whether the file was changed.

        Raises:
            ConfigError: It cannot be read or written, or is no Docker configuration.
        """
        self.logins()
        config = self._content()
        auths: dict[str, Any] = config.get("auths") or {}
        ours = stored_key(host)
        kept = {key: other for key, other in auths.items() if key_of(key, str(self.path)) != host}
        auths_then = kept if entry is None else {**kept, ours: dict(entry)}
        if auths_then == auths:
            return False
        content = json.dumps({**config, "auths": auths_then}, indent="\t") + "\n"
        try:
            path = self.path.resolve()  # a link stays one
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, content)
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"{self.path} cannot be written: {getattr(error, 'strerror', None) or error}",
                hint="Make its folder writable, or name another file with --registry-config.",
            ) from error
        self._read = None
        return True

    def _content(self) -> dict[str, Any]:
        if self._read is None:
            self._read = self._parsed()
        return self._read

    def _parsed(self) -> dict[str, Any]:
        hint = "Check the path, or write the file with nksmesh registry login."
        try:
            config = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            if self._must_exist:
                raise ConfigError(f"{self.path} does not exist", hint=hint) from None
            return {}
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {error.strerror}", hint=hint) from error
        except (ValueError, RecursionError):  # its words would repeat a piece of the file
            raise ConfigError(f"{self.path} is not JSON", hint=hint) from None
        if not isinstance(config, dict):
            raise ConfigError(f"{self.path} is not a JSON object", hint=hint)
        return config
