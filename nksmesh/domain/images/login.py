"""Logins to registries: whose they are, and which one is meant for an image."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.reference import DOCKER_HUB, Reference

HUB_KEY: Final = "https://index.docker.io/v1/"
"""What Docker calls its Hub where it keeps logins."""

CONFIG_KEY: Final = ".dockerconfigjson"
_HUB_KEYS = frozenset({"index.docker.io", "registry-1.docker.io", DOCKER_HUB})


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login; nothing of it but its source is ever shown.

    Attributes:
        source: Where it is from, for a reader: a file, a helper, a Secret.
        token: An identity token, which a token service takes instead of a password.
    """

    source: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The header of Basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def logins_of(config: Any, source: str) -> dict[str, Login]:
    """Read the logins of a Docker configuration, as a file or a pull secret has them.

    Returns:
        Each login, by the key it stands under: a host, or a host with the beginning of a path.

    Raises:
        ConfigError: It is no Docker configuration; nothing of its contents is repeated.
    """
    if not isinstance(config, Mapping):
        raise _unusable(source, "it is not a map")
    auths = config.get("auths")
    if auths is not None and not isinstance(auths, Mapping):
        raise _unusable(source, "auths is not a map")
    return {
        key_of(str(key), source): login
        for key, entry in (auths or {}).items()
        if (login := _login(entry, source)) is not None
    }


def stored_key(host: str) -> str:
    """Name a registry as Docker does where it keeps logins: Docker Hub by a URL, any other by its host."""
    return HUB_KEY if host == DOCKER_HUB else host


def config_of(host: str, login: Login) -> dict[str, Any]:
    """Write a Docker configuration with one login, as a pull secret holds it.

    Args:
        host: The registry as images name it.
    """
    auth = login.basic.partition(" ")[2]
    return {"auths": {stored_key(host): {"username": login.username, "password": login.password, "auth": auth}}}


def logins_in(secret: Mapping[str, Any], name: str) -> dict[str, Login]:
    """Read the logins of a Secret; one that is no pull secret has none.

    Args:
        name: The Secret's namespace and name, for messages.

    Raises:
        ConfigError: It is a pull secret without a Docker configuration; nothing of its contents is repeated.
    """
    encoded = (secret.get("data") or {}).get(CONFIG_KEY)
    if encoded is None:
        return {}
    try:
        config = json.loads(base64.b64decode(encoded))
    except ValueError:  # its words would repeat a piece of the secret
        namespace, _, own = name.partition("/")
        raise ConfigError(
            f"Secret {name} is no pull secret: its {CONFIG_KEY} is not JSON",
            hint=f"Make it again with kubectl create secret docker-registry {own} -n {namespace}.",
        ) from None
    return logins_of(config, f"Secret {name}")


def login_for(image: Reference, logins: Mapping[str, Login]) -> Login | None:
    """Choose the login for an image as the kubelet does: the key with the longest path that its name is below.

    A ``*`` in a key's host stands for one part of a name (Kubernetes' docs, "Pull an Image from a Private Registry").
    """
    matching = [key for key in logins if _matches(key, image)]
    return logins[max(matching, key=len)] if matching else None


def _login(entry: Any, source: str) -> Login | None:
    if not isinstance(entry, Mapping):
        raise _unusable(source, "an entry of auths is not a map")
    if token := entry.get("identitytoken"):
        return Login(source=source, token=str(token))
    if joined := entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(str(joined)).decode().rstrip("\0").partition(":")
        except ValueError:  # no base64, no ASCII, or no UTF-8 in it
            colon = ""
        if not colon:
            raise _unusable(source, "an entry's auth is not the base64 of USER:PASSWORD")
        return Login(source=source, username=username, password=password)
    if entry.get("username"):
        return Login(source=source, username=str(entry["username"]), password=str(entry.get("password", "")))
    return None


def key_of(text: str, source: str) -> str:
    """Normalise a key of ``auths``: ``https://host/v1/`` and ``host`` are the same, and Docker Hub has several.

    Args:
        source: Whose key it is, for messages.

    Raises:
        ConfigError: It is no host.
    """
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
    except ValueError:
        parts = None
    if parts is None:
        raise _unusable(source, "a key of auths is not a host")
    path = re.sub(r"^/v[12](?=/|$)", "", parts.path).rstrip("/")
    host = DOCKER_HUB if parts.netloc in _HUB_KEYS else parts.netloc
    return host + path


def _matches(key: str, image: Reference) -> bool:
    host, _, path = key.partition("/")
    wanted, here = host.split("."), image.host.split(".")
    # The brackets of an IPv6 address are no pattern.
    alike = host == image.host or (len(wanted) == len(here) and "[" not in host and all(map(fnmatchcase, here, wanted)))
    return alike and (not path or f"{image.repository}/".startswith(f"{path}/"))


def _unusable(source: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{source} has no usable logins: {problem}", hint="Write it with docker login, or with kubectl create secret."
    )


def without_secrets(text: str, logins: Iterable[Login | None]) -> str:
    """Take passwords and tokens out of a server's words, should it repeat them."""
    known = [login for login in logins if login]
    secrets = {
        secret
        for login in known
        for secret in (login.password, login.token, login.basic.partition(" ")[2] if login.password else "")
        if secret
    }
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a piece of another
        text = text.replace(secret, "***")
    return text
