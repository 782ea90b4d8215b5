"""Web pages: one request to the address itself, past every proxy, and what came of it; redirects are not followed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import httpx

from nksmesh.adapters.http import open_http, reason_of
from nksmesh.domain.gateways.answers import Answer, title_of

_MOST_BYTES: Final = 65_536
"""So much of a page is read for its title."""

_PORTS: Final = {"http": 80, "https": 443}

_TIMEOUTS: Final = (httpx.ConnectTimeout, httpx.ReadTimeout)


class Pages:
    """Asks web servers.

    Args:
        environ: Where certificate bundles are looked up.
        relays: HOST:PORT that answers instead of another HOST:PORT.
    """

    def __init__(self, environ: Mapping[str, str], *, relays: Mapping[str, str] | None = None) -> None:
        """Work with an environment."""
        self._environ, self._relays = environ, relays or {}

    async def ask(self, url: str, *, host: str = "") -> Answer:
        """Ask for a page.

        Args:
            host: The host name that the request and, with https, the certificate are for; empty for the URL's.

        Raises:
            ConfigError: A certificate bundle of the environment is not one.
        """
        began = time.monotonic()
        async with open_http(self._environ, trust_env=False) as client:  # a proxy would answer in its place
            asked = httpx.URL(url)
            relay = self._relays.get(f"{asked.host}:{asked.port or _PORTS[asked.scheme]}")
            request = client.build_request(
                "GET",
                asked.copy_with(netloc=relay.encode()) if relay else asked,
                headers={"Host": host or asked.netloc.decode()},
                extensions={"sni_hostname": host} if host else None,
            )
            try:
                answer = await client.send(request, stream=True)
                text = await _beginning(answer)
                await answer.aclose()
            except httpx.HTTPError as error:
                failure, timed_out = reason_of(error), isinstance(error, _TIMEOUTS)
                return Answer(url=url, seconds=time.monotonic() - began, failure=failure, timed_out=timed_out)
        return Answer(
            url=url,
            status=answer.status_code,
            title=title_of(text),
            seconds=time.monotonic() - began,
        )


async def _beginning(answer: httpx.Response) -> str:
    read = b""
    async for part in answer.aiter_bytes():
        read += part
        if len(read) >= _MOST_BYTES:
            break
    return read[:_MOST_BYTES].decode(answer.encoding or "utf-8", errors="replace")
