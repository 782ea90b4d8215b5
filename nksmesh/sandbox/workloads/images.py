"""What runs in place of an image, by the image's name."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.reference import parse_reference
from nksmesh.sandbox.workloads import productpage


class Kind(StrEnum):
    """How true to its image a container is."""

    REAL = "real"
    SMALL_SERVER = "small server"
    SIMULATED = "simulated"


@dataclass(frozen=True, kw_only=True)
class Program:
    """What runs in place of an image.

    Attributes:
        kind: Whether it is the image's own program.
        command: The program and its arguments.
        environment: The variables that the image sets; a container's own come before them.
        port: The TCP port that it listens on, on every address.
        folder: The folder that it runs in; None for any.
    """

    kind: Kind
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int
    folder: Path | None = None


_BOOKINFO: Final = re.compile(r"examples-bookinfo-([a-z]+)-(v[a-z0-9-]*)")
# What the images' Dockerfiles set (samples/bookinfo/src/docker-bake.hcl). An image that is not here is simulated:
# details-v2 asks Google Books, and ratings-v2 a database.
_VARIABLES: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("details", "v1"): {},
    ("ratings", "v1"): {},
    ("ratings", "v-faulty"): {},
    ("ratings", "v-delayed"): {},
    ("ratings", "v-unavailable"): {},
    ("ratings", "v-unhealthy"): {},
    ("reviews", "v1"): {"ENABLE_RATINGS": "false", "STAR_COLOR": "black"},
    ("reviews", "v2"): {"ENABLE_RATINGS": "true", "STAR_COLOR": "black"},
    ("reviews", "v3"): {"ENABLE_RATINGS": "true", "STAR_COLOR": "red"},
    ("productpage", "v1"): {"FLOOD_FACTOR": "0"},
    ("productpage", "v-flooding"): {"FLOOD_FACTOR": "100"},
}
_BOOKINFO_PORT: Final = 9080
_TOOLS: Final = frozenset({"curl", "sleep"})
_TOOLS_PORT: Final = 80
_SERVER: Final = Path(__file__).with_name("server.py")


def program_of(image: str, *, host: str = "0.0.0.0", port: int | None = None) -> Program | None:  # noqa: S104
    """Find what runs in place of an image, whatever registry it is from.

    Args:
        image: The image, as a container names it.
        host: The address to listen on; the default is for a pod, which has a network of its own.
        port: The port to listen on; None for the one of the image.

    Returns:
        None where the image is simulated: nothing runs.

    Raises:
        ConfigError: Istio's samples, of which the program is, are not in the cache.
    """
    try:
        name = parse_reference(image).repository.rpartition("/")[2]
    except ConfigError:
        return None
    if name in _TOOLS:
        return _small(name, {}, host, port or _TOOLS_PORT)
    found = _BOOKINFO.fullmatch(name)
    variables = _VARIABLES.get((found[1], found[2])) if found else None
    if found is None or variables is None:
        return None
    variables = {"SERVICE_VERSION": found[2], **variables}
    port = port or _BOOKINFO_PORT
    if found[1] != "productpage":
        return _small(found[1], variables, host, port)
    return Program(
        kind=Kind.REAL,
        command=productpage.command(host, port),
        environment=variables,
        port=port,
        folder=productpage.source(),
    )


def _small(name: str, variables: Mapping[str, str], host: str, port: int) -> Program:
    # without site-packages (-S) and the caller's variables (-I) it starts sooner, and takes less memory
    command = (sys.executable, "-I", "-S", str(_SERVER), name, host, str(port))
    return Program(kind=Kind.SMALL_SERVER, command=command, environment=variables, port=port)
