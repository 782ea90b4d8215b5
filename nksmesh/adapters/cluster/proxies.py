"""Which proxy the environment names for a server, decided as Go's programs decide it: Helm must go the same way.

The rules are those of https://pkg.go.dev/golang.org/x/net/http/httpproxy: never for this machine itself, and NO_PROXY
may hold host names, domains, addresses and CIDRs. aiohttp's own reading of the environment knows neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the proxy's URL for a server's; empty for none."""
    server = urlsplit(url)
    name = f"{server.scheme}_proxy"
    proxy = environ.get(name.upper()) or environ.get(name) or ""
    host, port = (server.hostname or "").lower().rstrip("."), server.port or _PORTS.get(server.scheme, 0)
    if not proxy or _is_this_machine(host):
        return ""
    spared = (environ.get("NO_PROXY") or environ.get("no_proxy") or "").lower().split(",")
    if any(_spares(entry, host, port) for part in spared if (entry := part.strip())):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_this_machine(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _spares(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY means a server."""
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, of_port = _split(entry)
    if of_port not in ("", str(port)):
        return False
    if _address(name) is not None:
        return address == _address(name)
    return host.endswith(f".{name.removeprefix('*').removeprefix('.')}") or host == name


def _split(entry: str) -> tuple[str, str]:
    """Split host:port; an IPv6 address has its colons in brackets, or stands without a port."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
