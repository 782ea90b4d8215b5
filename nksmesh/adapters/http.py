"""HTTP to servers other than API servers: what is trusted, how long is waited, which proxy, and what failed."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from nksmesh.adapters.trust import load_trust
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import ConfigError

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 30.0
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What a server answers that may be over in a moment."""

REFUSED: Final = frozenset({401, 403, 407})
_SAYS_NOTHING: Final = frozenset({"", "All connection attempts failed"})


def open_http(environ: Mapping[str, str], *, trust: ssl.SSLContext | None = None, **settings: Any) -> httpx.AsyncClient:
    """Make a client. It uses the proxies that httpx does: HTTPS_PROXY, NO_PROXY.

    Args:
        environ: As ``load_trust`` takes it.
        trust: What ``load_trust`` has loaded; None to load it now.
        settings: What httpx.AsyncClient is told beside that.

    Raises:
        ConfigError: A bundle or a proxy is not one.
    """
    for name in ("httpx", "httpcore"):  # they log whole URLs and headers: signed links, and tokens
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return httpx.AsyncClient(
            verify=trust or load_trust(environ),
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": "nksmesh"},
            **settings,
        )
    except (ValueError, ImportError, httpx.InvalidURL):
        # Neither the proxy nor httpx's own words about it: its URL may hold a password.
        raise ConfigError(
            "a proxy from the environment variables cannot be used",
            hint="Write HTTPS_PROXY, HTTP_PROXY and ALL_PROXY as http://HOST:PORT; SOCKS is not supported.",
        ) from None


def through(url: str) -> str:
    """Name the proxy that the environment puts between, without its user and password; empty without one."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    return f" through the proxy {public_source(proxy if '://' in proxy else f'http://{proxy}')}"


def status_of(answer: httpx.Response) -> str:
    """Say what a server answered."""
    return f"the server says {answer.status_code} {answer.reason_phrase}".rstrip()


def reason_of(error: Exception) -> str:
    """Say why a request came to nothing."""
    cause = certificate_error(error)
    if cause is not None:
        return (
            f"its certificate is not trusted ({cause.verify_message}); set SSL_CERT_FILE or "
            "REQUESTS_CA_BUNDLE to a file with your own CA"
        )
    words: dict[type[Exception], str] = {
        httpx.ConnectTimeout: f"no connection within {CONNECT_SECONDS:.0f} s",
        httpx.ReadTimeout: f"no answer for {SILENCE_SECONDS:.0f} s",
        httpx.RemoteProtocolError: "the response was cut off",
        httpx.ConnectError: "no connection" if str(error) in _SAYS_NOTHING else str(error),
        httpx.TooManyRedirects: "it redirects in a loop",
    }
    return words.get(type(error), str(error) or type(error).__name__)


def certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the certificate that was not trusted, where that is what failed."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
