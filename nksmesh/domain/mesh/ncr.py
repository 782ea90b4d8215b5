"""Hosts of NCR, NHN's container registry: the region and the network that one names (nks-facts 1.1, 4)."""

from __future__ import annotations

import re
from typing import Final

from nksmesh.domain.mesh.mesh import Network

_PRIVATE: Final = "private-"
_HOST: Final = re.compile(rf"(?P<private>{_PRIVATE})?[0-9a-f]{{8}}-(?P<region>[a-z]+\d?)-registry\.container\.[a-z.-]+")


def region_code(hub: str) -> str:
    """Return the code of the region that a registry of NCR is in, such as ``kr2``; empty where it is none of NCR's.

    Args:
        hub: A registry path, or its host.
    """
    found = _HOST.fullmatch(hub.partition("/")[0])
    return found["region"] if found else ""


def is_private(hub: str) -> bool:
    """Tell whether a registry of NCR is named by its private address."""
    found = _HOST.fullmatch(hub.partition("/")[0])
    return bool(found and found["private"])


def same_registry(first: str, second: str) -> bool:
    """Tell whether two hosts are NCR's two names of one registry, for which one login is good."""
    return hub_for(first, Network.PUBLIC) == hub_for(second, Network.PUBLIC)


def hub_for(hub: str, network: Network) -> str:
    """Return the address that a registry of NCR has in a network; another registry has one address in all of them."""
    found = _HOST.fullmatch(hub.partition("/")[0])
    if not found:
        return hub
    public = hub.removeprefix(_PRIVATE)
    return f"{_PRIVATE}{public}" if network is Network.PRIVATE else public
