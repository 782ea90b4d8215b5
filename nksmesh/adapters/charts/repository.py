"""Helm repositories, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from nksmesh.adapters.charts.archive import MIB, MOST_ARCHIVE, digest_of
from nksmesh.adapters.charts.sources import Repository, unknown_version
from nksmesh.adapters.helm_yaml import NotYamlError, document
from nksmesh.adapters.http import (
    PASSING,
    REFUSED,
    certificate_error,
    open_http,
    reason_of,
    status_of,
    through,
)
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import ChartError

MOST_INDEX: Final = 64 * MIB
WHOLE_SECONDS: Final = 300.0
ATTEMPTS: Final = 3
_OFFLINE: Final = "charts fetched elsewhere can be used from a folder with --charts FOLDER"


class Repositories:
    """The Helm repositories of one fetch: one client, and each index read once.

    Args:
        environ: Where SSL_CERT_FILE and its like are looked up. Proxies are httpx's: HTTPS_PROXY, NO_PROXY.

    Raises:
        ConfigError: A bundle or a proxy is not one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._indexes: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._client = open_http(environ, follow_redirects=True)

    async def close(self) -> None:
        """Close all connections."""
        for task in self._indexes.values():
            task.cancel()
        await asyncio.gather(*self._indexes.values(), return_exceptions=True)
        await self._client.aclose()

    async def archive(self, ref: ChartRef, repository: Repository) -> bytes:
        """Download a chart's archive.

        Raises:
            ChartError: It is not there, cannot be reached, or is not what the index says.
        """
        if repository.url not in self._indexes:
            self._indexes[repository.url] = asyncio.create_task(self._index(repository))
        # Another chart's fetch may be cancelled while it waits for the same index.
        index = await asyncio.shield(self._indexes[repository.url])
        entry = _entry(index, ref)
        url = _archive_url(entry, ref, repository)
        content = await self._download(url, repository, most=MOST_ARCHIVE)
        said = str(entry.get("digest") or "").removeprefix("sha256:")
        if said and f"sha256:{said}" != digest_of(content):
            raise ChartError(
                f"{public_source(url)} is not the archive that its repository's index names",
                hint="Try again later, or pass another source with --charts.",
                detail=f"in the index: sha256:{said}\nthe archive: {digest_of(content)}",
            )
        return content

    async def _index(self, repository: Repository) -> dict[str, Any]:
        url = _below(repository.url, "index.yaml")
        text = await self._download(url, repository, most=MOST_INDEX)
        try:
            index = await asyncio.to_thread(document, text)
        except NotYamlError as error:
            raise _no_repository(url, f"is not YAML: {error}") from error
        if not isinstance(index, dict) or not isinstance(index.get("entries"), dict):
            raise _no_repository(url, "has no entries")
        entries: dict[str, Any] = index["entries"]
        return entries

    async def _download(self, url: str, repository: Repository, *, most: int) -> bytes:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.2, max=2) + wait_random(0, 0.2),
            retry=retry_if_exception_type(_PassingError),
            retry_error_callback=_give_up,
        )
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                content: bytes = await retrying(self._attempt, url, repository, most)
                return content
        except TimeoutError:
            raise _unreachable(url, f"it took longer than {WHOLE_SECONDS:.0f} s") from None

    async def _attempt(self, url: str, repository: Repository, most: int) -> bytes:
        bare, auth = _without_user(url, repository)
        content = bytearray()
        try:
            # A compressing server would change an archive's bytes, and so its digest.
            headers = {"Accept-Encoding": "identity"}
            async with self._client.stream("GET", bare, headers=headers, auth=auth) as answer:
                if answer.status_code in PASSING:
                    raise _PassingError(_unreachable(url, status_of(answer)))
                if not answer.is_success:
                    raise _turned_away(url, answer)
                if bare.scheme == "https" and answer.url.scheme != "https":
                    raise _unreachable(url, f"it redirects to {answer.url.scheme}://, which is not safe")
                async for part in answer.aiter_raw():
                    content += part
                    if len(content) > most:
                        raise ChartError(
                            f"{public_source(url)} is larger than {most // MIB} MiB",
                            hint="nksmesh cannot use it as a chart repository. Pass another one with --charts.",
                        )
        except httpx.TransportError as error:
            failure = _unreachable(url, reason_of(error))
            if isinstance(error, httpx.UnsupportedProtocol | httpx.ProxyError) or certificate_error(error):
                raise failure from error
            raise _PassingError(failure) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _unreachable(url, reason_of(error)) from error
        return bytes(content)


class _PassingError(Exception):
    """A failure that may be over in a moment."""

    def __init__(self, failure: ChartError) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _give_up(state: RetryCallState) -> bytes:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _PassingError):
        raise error.failure from error
    raise AssertionError(error)


def _entry(entries: Mapping[str, Any], ref: ChartRef) -> dict[str, Any]:
    listed = entries.get(ref.name)
    found = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    for entry in found:
        if str(entry.get("version")) == ref.version:
            return entry
    raise unknown_version(ref, (str(entry.get("version")) for entry in found))


def _archive_url(entry: Mapping[str, Any], ref: ChartRef, repository: Repository) -> str:
    urls = entry.get("urls")
    first = urls[0] if isinstance(urls, list) and urls else None
    if not isinstance(first, str):
        raise _no_repository(_below(repository.url, "index.yaml"), f"names no archive for {ref}")
    try:
        url = urljoin(_below(repository.url, ""), first)
        parts = urlsplit(url)
    except ValueError as error:
        raise _no_repository(_below(repository.url, "index.yaml"), f"names no URL for {ref}") from error
    secure = urlsplit(repository.url).scheme == "https"
    if parts.scheme != "https" and (secure or parts.scheme != "http"):
        index = _below(repository.url, "index.yaml")
        raise _no_repository(index, f"gives a {parts.scheme}:// URL for {ref}, which is not safe")
    return url


def _below(url: str, name: str) -> str:
    """A file of a repository: the URL's query (a token, some mirrors want one) goes along."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}", fragment="").geturl()


def _without_user(url: str, repository: Repository) -> tuple[httpx.URL, httpx.BasicAuth | None]:
    """The URL to ask for, and the user and password of its repository where it is the same server."""
    asked = httpx.URL(url)
    own = httpx.URL(repository.url)
    user = own if (asked.scheme, asked.host, asked.port) == (own.scheme, own.host, own.port) else asked
    auth = httpx.BasicAuth(user.username, user.password) if user.userinfo else None
    return asked.copy_with(userinfo=b""), auth


def _unreachable(url: str, reason: str) -> ChartError:
    return ChartError(
        f"{public_source(url)} could not be fetched{through(url)}: {reason}",
        hint=f"Check that this machine can reach {urlsplit(url).hostname} (HTTPS_PROXY is "
        f"used). Without a network, {_OFFLINE}.",
    )


def _turned_away(url: str, answer: httpx.Response) -> ChartError:
    if answer.status_code in REFUSED:
        hint = (
            "Pass --charts again with its user and password, which are never stored: "
            "--charts https://USER:PASSWORD@HOST/... A folder needs none: --charts FOLDER."
        )
    else:
        hint = f"Check that the URL is that of a Helm repository. Without a repository, {_OFFLINE}."
    return ChartError(f"{public_source(url)} could not be fetched{through(url)}: {status_of(answer)}", hint=hint)


def _no_repository(url: str, problem: str) -> ChartError:
    return ChartError(
        f"{public_source(url)} {problem}",
        hint=f"Check that --charts is the URL of a Helm repository. Without a repository, {_OFFLINE}.",
    )
