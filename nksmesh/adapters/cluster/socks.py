"""The connections to an API server behind a SOCKS5 proxy, as client-go makes them: the proxy resolves the name.

Imported only where a proxy is one of SOCKS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from nksmesh.adapters.cluster.connections import Connections

_PORT: Final = 1080
"""Where the URL names none, as in Go's net/http."""


class _Unresolved(AbstractResolver):
    """Leaves a name as it is: the machine behind the proxy knows it, and this one may not."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the name in an address's place."""
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Do nothing: nothing is held."""


class SocksConnections(Connections):
    """Makes connections through a SOCKS5 proxy."""

    def __init__(self, context: ssl.SSLContext, proxy: str) -> None:
        """Make connections with a TLS context.

        Args:
            context: For the API server, behind the proxy.
            proxy: The proxy's URL, checked; user and password are percent-encoded in it.
        """
        super().__init__(context, resolver=_Unresolved())
        url = urlsplit(proxy)
        self._host, self._port = url.hostname or "", url.port or _PORT
        named = url.username is not None
        self._user = unquote(url.username or "") if named else None
        self._password = unquote(url.password or "") if named else None

    async def _wrap_create_connection(
        self, *protocol: Any, addr_infos: list[Any], timeout: Any, **more: Any
    ) -> tuple[asyncio.Transport, Any]:
        """Connect as aiohttp does, by way of the proxy: the one method in which aiohttp connects a socket.

        Raises:
            OSError: The proxy cannot be reached, or refuses.
            TimeoutError: It took too long.
        """
        host, port = addr_infos[0][4][:2]
        proxy = Proxy(ProxyType.SOCKS5, self._host, self._port, self._user, self._password, rdns=True)
        try:
            connected = await proxy.connect(host, port, timeout=timeout.sock_connect)
        except (ProxyError, OSError) as exc:
            raise OSError(f"SOCKS5 proxy {self._host}:{self._port}: {exc}") from exc
        tls = {name: more[name] for name in ("ssl", "server_hostname")}
        try:
            return await asyncio.get_running_loop().create_connection(*protocol, sock=connected, **tls)
        except BaseException:
            connected.close()
            raise
