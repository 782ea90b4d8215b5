"""The name of an image, read as the container runtimes read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.common.errors import ConfigError

DOCKER_HUB: Final = "docker.io"
_HUB_API: Final = "registry-1.docker.io"
_NAME: Final = re.compile(
    r"(?:(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)/)?"
    r"(?P<repository>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""github.com/distribution/reference, grammar of a reference."""


@dataclass(frozen=True, order=True)
class Reference:
    """An image in a registry.

    Attributes:
        host: The registry as images name it, such as ``docker.io``, with its port.
        tag: Empty where a digest alone names the manifest.
        digest: ``sha256:`` and 64 hexadecimal digits, or empty.
    """

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def at(self) -> str:
        """What a registry is asked for: the digest, or else the tag."""
        return self.digest or self.tag

    @property
    def server(self) -> str:
        """Where the registry's API is: Docker Hub's is on another host than the one that images name."""
        return _HUB_API if self.host == DOCKER_HUB else self.host


def parse_host(text: str) -> str:
    """Read a registry's host, such as ``registry.example.com:5000``; ``https://`` may stand before it.

    Raises:
        ConfigError: It is no host.
    """
    host = text.removeprefix("https://").rstrip("/")
    found = _NAME.fullmatch(f"{host}/x/x")
    if "/" in host or found is None or parse_reference(f"{host}/x/x").repository != "x/x":
        raise ConfigError(f"{text!r} is not the host of a registry", hint="Write HOST or HOST:PORT, without a path.")
    return parse_reference(f"{host}/x/x").host


def parse_reference(text: str) -> Reference:
    """Read an image's name; without a registry it is of Docker Hub, without tag and digest it is ``latest``.

    Raises:
        ConfigError: It is no image's name.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is not an image", hint="Write HOST/REPOSITORY:TAG.")
    host, repository = found["host"] or "", found["repository"]
    if host and not (set(".:[") & set(host) or host == "localhost" or host != host.lower()):
        host, repository = "", f"{host}/{repository}"  # a word without a dot is Docker Hub's user
    host = "" if host in {"index.docker.io", _HUB_API} else host
    if host in {"", DOCKER_HUB}:
        host, repository = DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
    tag, digest = found["tag"] or "", found["digest"] or ""
    return Reference(host, repository, tag or ("" if digest else "latest"), digest)
