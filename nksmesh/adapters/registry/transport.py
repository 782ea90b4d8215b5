"""Requests to a registry and to what it sends its clients to: every answer is bounded, every failure is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final, Literal

import httpx

from nksmesh.adapters.http import CONNECT_SECONDS, SILENCE_SECONDS, certificate_error, reason_of, status_of, through
from nksmesh.domain.common.addresses import is_loopback
from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.images.login import Login, without_secrets

_MOST_ANSWER: Final = 8 * 1024 * 1024
"""Bytes: more than any manifest has."""

_MOST_WORDS: Final = 2000
_STORING: Final = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, read=600.0)
"""A registry may say nothing for long while it stores a layer: on object storage it copies all of it once more."""


class PassingError(Exception):
    """A failure that may be over in a moment."""

    def __init__(self, reason: str, answer: httpx.Response | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer

    @property
    def pause(self) -> float:
        """The seconds that the registry asks to wait; a date counts as none."""
        asked = self.answer.headers.get("retry-after", "") if self.answer is not None else ""
        return float(asked) if asked.isdecimal() else 0.0


class Transport:
    """How a registry is spoken to.

    Args:
        server: Where its API is: a host, with a port where it is not HTTPS's own.
        login: Whose requests they are, for messages; nothing of it is sent from here.
        plain: It speaks HTTP. One on this machine may do so without being told, as Docker treats them.

    Attributes:
        base: The URL of its API, known for sure after ``prove_scheme``.
    """

    def __init__(self, http: httpx.AsyncClient, server: str, login: Login | None, *, plain: bool) -> None:
        self.server = server
        self.base = f"{'http' if plain else 'https'}://{server}"
        self._http = http
        self._login = login
        self._proved = plain or not is_loopback(server)
        self._proving = asyncio.Lock()

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.base.startswith("https:")

    async def prove_scheme(self) -> None:
        """Find out whether a registry on this machine speaks TLS."""
        if self._proved:
            return
        async with self._proving:
            if not self._proved:
                try:
                    async with self._http.stream("GET", f"{self.base}/v2/"):
                        pass
                except httpx.TransportError as error:
                    if _speaks_no_tls(error):
                        self.base = f"http://{self.server}"
                self._proved = True

    async def once(
        self,
        method: str,
        url: str | httpx.URL,
        headers: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        streamed: bool = False,
        whose: str = "",
    ) -> httpx.Response:
        """Send one request.

        Args:
            form: What is posted, as a form.
            content: What is sent, where it is no form.
            streamed: A success is returned unread: whoever asked for it reads it and closes it.
            whose: Whose answer it is, where not the registry's own: the beginning of a sentence.

        Raises:
            PassingError: What failed may be over in a moment.
            ImageError: It certainly is not.
        """
        read = bytearray()
        try:
            waits = _STORING if method == "PUT" else self._http.timeout
            request = self._http.build_request(
                method, url, headers=dict(headers), data=form, content=content, timeout=waits
            )
            answer = await self._http.send(request, stream=True)
            if streamed and answer.is_success:
                return answer
            try:
                async for part in answer.aiter_bytes():  # decoded: some servers compress, whatever they are asked
                    read += part
                    if len(read) > _MOST_ANSWER:
                        raise self.unreachable(f"{whose}its answer is larger than any manifest")
            finally:
                await answer.aclose()
        except httpx.InvalidURL:
            raise self.unreachable(f"{whose}it sends this machine to what is not a URL") from None
        except httpx.DecodingError as error:
            raise self.unreachable(f"{whose}its answer is not compressed as it says") from error
        except httpx.TransportError as error:
            certain = httpx.UnsupportedProtocol | httpx.ProxyError | httpx.ConnectError | httpx.ConnectTimeout
            if isinstance(error, certain) or certificate_error(error):
                raise self.unreachable(whose + reason_of(error)) from error
            raise PassingError(whose + reason_of(error)) from error
        kept = [(name, text) for name, text in answer.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(answer.status_code, headers=kept, content=bytes(read), request=answer.request)

    def failure(
        self, answer: httpx.Response, what: str, *, denied: bool = False, to: Literal["pull", "push", "log in"] = "pull"
    ) -> ImageError:
        """Say what an answer's error means, with the registry's own words and without a secret.

        Args:
            what: What was asked for, as a reader knows it.
            denied: A refusal, whatever the status says.
            to: What it was asked for.
        """
        sent = Login(source="the request", token=answer.request.headers.get("authorization", "").partition(" ")[2])
        words = without_secrets(_words(answer), [self._login, sent])[:_MOST_WORDS]
        if answer.status_code == httpx.codes.NOT_FOUND and to == "pull":
            return MissingImageError(
                f"{what} does not exist", hint="Copy it there, or pass another --hub or --version.", detail=words
            )
        if denied or answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            with_login = f"the login of {self._login.source}" if self._login else "a request without a login"
            may = "push to" if to == "push" else "pull from"
            without = (
                f"Run nksmesh registry login {self.server}."
                if to == "push"
                else "Name a pull secret in pull_secrets of mesh.yaml, or run nksmesh install --create-pull-secret."
            )
            return DeniedImageError(
                f"{what}: the registry refuses {with_login}" + (", which may not push there" if to == "push" else ""),
                hint=f"Check that this login may {may} that repository, and that it has not expired."
                if self._login
                else without,
                detail=words,
            )
        full = answer.status_code == httpx.codes.INSUFFICIENT_STORAGE
        return ImageError(
            f"{what}: {status_of(answer)}",
            hint=f"Free some space in the registry {self.server}, and run the same command again."
            if full
            else "Try again later.",
            detail=words,
            passing=True,
        )

    def unreachable(self, reason: str) -> ImageError:
        """Say that a registry gives no answer that can be used."""
        return ImageError(
            f"the registry {self.server} cannot be reached{through(self.base)}: {reason}",
            hint=f"Check that this machine can reach {self.server} (HTTPS_PROXY is used).",
            passing=True,
        )


def _speaks_no_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, ssl.SSLCertVerificationError)
        error = error.__cause__ or error.__context__
    return False


def _words(answer: httpx.Response) -> str:
    """Return what a registry says of an error, in its own form."""
    try:
        errors = json.loads(answer.content)["errors"]
        return "\n".join(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
