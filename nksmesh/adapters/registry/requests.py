"""Requests to one registry with one login: what it asks for first, where it redirects to, and what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeAlias
from urllib.parse import urljoin, urlsplit

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from nksmesh.adapters.http import PASSING, status_of
from nksmesh.adapters.registry.authorization import Authorization
from nksmesh.adapters.registry.transport import PassingError, Transport
from nksmesh.domain.images.login import Login

ATTEMPTS: Final = 4
_MOST_REDIRECTS: Final = 5
_LONGEST_PAUSE: Final = 10.0
"""Seconds. A registry that asks for a longer one is not asked again: whoever waits should know."""

_PORTS: Final = {"https": 443, "http": 80}

Stream: TypeAlias = Callable[[], AsyncGenerator[bytes, None]]
"""What makes a stream of bytes, anew for each attempt."""


class Requests:
    """How a registry is asked.

    Args:
        server: Where its API is: a host, with a port where it is not HTTPS's own.
        plain: It speaks HTTP. One on this machine may do so without being told, as Docker treats them.
        turns: Bounds how many requests that move no blob are under way.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        server: str,
        login: Login | None,
        *,
        plain: bool = False,
        turns: asyncio.Semaphore | None = None,
    ) -> None:
        self.transport = Transport(http, server, login, plain=plain)
        self._authorization = Authorization(self.transport, login)
        self._turns = turns

    @property
    def logged_in(self) -> bool:
        """Whether the registry has asked for a login, and been given it, for no scope."""
        return bool(self._authorization.headers(""))

    async def send(
        self,
        method: str,
        path: str,
        scope: str,
        headers: Mapping[str, str],
        *,
        content: bytes | None = None,
        streamed: bool = False,
    ) -> httpx.Response:
        """Send, with the login once the registry has said which kind it wants, and again where that may help.

        Args:
            path: A path of the registry's API.
            scope: What a token has to be for.
            streamed: A success is returned unread: whoever asked for it reads it and closes it.

        Raises:
            ImageError: There is no answer that can be used.
        """
        turn: AbstractAsyncContextManager[object] = nullcontext() if streamed or not self._turns else self._turns
        async with turn:
            return await self.retried(
                lambda: self.attempt(method, path, scope, headers, content=content, streamed=streamed)
            )

    async def retried(self, attempt: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Attempt something until it does not fail in passing; return the last answer, a failure's too.

        Raises:
            ImageError: There is no answer that can be used.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=retry_if_exception(lambda error: isinstance(error, PassingError) and error.pause <= _LONGEST_PAUSE),
            reraise=True,
        )

        async def once() -> httpx.Response:
            return await attempt()

        try:
            answer: httpx.Response = await retrying(once)
        except PassingError as error:
            if error.answer is not None:
                return error.answer
            raise self.transport.unreachable(error.reason) from error
        return answer

    async def attempt(
        self,
        method: str,
        where: str,
        scope: str,
        headers: Mapping[str, str],
        *,
        content: bytes | Stream | None = None,
        streamed: bool = False,
    ) -> httpx.Response:
        """Send once, with what the registry asks for, and follow where it redirects to: there without the login.

        Args:
            where: A path of the registry's API, or where the registry said that something is.

        Raises:
            PassingError: What failed may be over in a moment.
            ImageError: It certainly is not.
        """
        await self.transport.prove_scheme()
        url = self._within(f"{self.transport.base}/", where)
        challenged = False
        for _ in range(_MOST_REDIRECTS):
            here = _authority(url) == _authority(f"{self.transport.base}/")
            login = self._authorization.headers(scope) if here else {}
            body = content() if callable(content) else content
            try:
                answer = await self.transport.once(method, url, {**headers, **login}, content=body, streamed=streamed)
            finally:
                if isinstance(body, AsyncGenerator):
                    await body.aclose()
            if answer.status_code == httpx.codes.UNAUTHORIZED and here and not challenged:
                challenged = True
                await self._authorization.meet(answer.headers.get_list("www-authenticate"), scope, login)
            elif answer.is_redirect:
                url = self._within(url, answer.headers.get("location", ""))
            elif answer.status_code in PASSING:
                raise PassingError(status_of(answer), answer)
            else:
                return answer
        raise self.transport.unreachable("it redirects in a loop")

    def _within(self, url: str, location: str) -> str:
        """Return where a registry sends its client to, which is no less safe than the registry."""
        try:
            url = urljoin(url, location)
        except ValueError:
            raise self.transport.unreachable("it redirects to what is not a URL") from None
        if self.transport.secure and urlsplit(url).scheme != "https":
            raise self.transport.unreachable(f"it redirects to {urlsplit(url).scheme}://, which is not safe")
        return url


def _authority(url: str) -> tuple[str, str | None, int | None]:
    """Return what decides whether a login goes along: scheme, host and port."""
    parts = urlsplit(url)
    try:
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # the port is no number: httpx says so
        return parts.scheme, None, None


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, PassingError) else 0.0
    return max(asked, (wait_exponential(multiplier=0.3, max=5) + wait_random(0, 0.3))(state))
