"""Which proxy the environment names for a server, decided as Go's programs decide it: Helm must go the same way.

The rules are those of https://pkg.go.dev/golang.org/x/net/http/httpproxy: never for this machine itself, and NO_PROXY
may hold host names, domains, addresses and CIDRs. aiohttp's own reading of the environment knows neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_network
from urllib.parse import urlsplit

from nksmesh.domain.common.addresses import address_of, is_loopback, split_port

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the proxy's URL for a server's; empty for none."""
    server = urlsplit(url)
    name = f"{server.scheme}_proxy"
    proxy = environ.get(name.upper()) or environ.get(name) or ""
    host, port = (server.hostname or "").lower().rstrip("."), server.port or _PORTS.get(server.scheme, 0)
    if not proxy or is_loopback(host):
        return ""
    spared = (environ.get("NO_PROXY") or environ.get("no_proxy") or "").lower().split(",")
    if any(_spares(entry, host, port) for part in spared if (entry := part.strip())):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _spares(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY means a server."""
    if entry == "*":
        return True
    address = address_of(host)
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, of_port = split_port(entry)
    if of_port not in ("", str(port)):
        return False
    if address_of(name) is not None:
        return address == address_of(name)
    return host.endswith(f".{name.removeprefix('*').removeprefix('.')}") or host == name
