"""One registry: requests with the login that it asks for, and what it has under an image's name.

The protocol is the OCI distribution specification 1.1; how real servers differ from it was tried against distribution
2.8 and 3.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final
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
from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import INDEXES, MANIFESTS, FoundManifest, platforms_of
from nksmesh.domain.images.reference import Reference

ACCEPT: Final = ", ".join(sorted(INDEXES | MANIFESTS))
"""All four, always: distribution 2.8 answers an index with 404, or with another digest, where one is left out."""

ATTEMPTS: Final = 4
_MOST_REDIRECTS: Final = 5
_LONGEST_PAUSE: Final = 10.0
"""Seconds. A registry that asks for a longer one is not asked again: whoever waits should know."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Registry:
    """A registry and one login to it.

    Args:
        server: Where its API is: a host, with a port where it is not HTTPS's own.
        plain: It speaks HTTP. One on this machine may do so without being told, as Docker treats them.
    """

    def __init__(self, http: httpx.AsyncClient, server: str, login: Login | None, *, plain: bool = False) -> None:
        self._transport = Transport(http, server, login, plain=plain)
        self._authorization = Authorization(self._transport, login)

    async def find(self, image: Reference) -> FoundManifest:
        """Look for an image: HEAD first, which Docker Hub does not count, then the index by its digest.

        Raises:
            MissingImageError: There is no such image.
            DeniedImageError: The registry refuses this login, or wants one.
            ImageError: The registry cannot be reached, or answers nonsense.
        """
        answer = await self._manifest("HEAD", image, image.at)
        said = answer.headers.get("docker-content-digest", "")
        said = said if _DIGEST.fullmatch(said) else ""
        media_type = _media_type(answer)
        if said and media_type in MANIFESTS:
            _check_digest(image, said, asked_for=image.digest)
            return FoundManifest(digest=said, media_type=media_type)
        answer = await self._manifest("GET", image, said or image.at)
        found = "sha256:" + hashlib.sha256(answer.content).hexdigest()
        _check_digest(image, found, asked_for=image.digest, said=said)
        media_type = _media_type(answer)
        if media_type not in INDEXES | MANIFESTS:
            raise ImageError(
                f"{image}: the registry's answer is not an image but {media_type or 'of no media type'}",
                hint="Check that this is the address of a registry, and that no sign-in page stands before it.",
            )
        try:
            platforms = platforms_of(answer.content) if media_type in INDEXES else ()
        except ValueError as error:
            raise ImageError(
                f"{image}: the registry's answer is not an index: {error}", hint="Push the image again."
            ) from error
        return FoundManifest(digest=found, media_type=media_type, platforms=platforms)

    async def _manifest(self, method: str, image: Reference, at: str) -> httpx.Response:
        path = f"/v2/{image.repository}/manifests/{at}"
        scope = f"repository:{image.repository}:pull"
        headers = {"Accept": ACCEPT, "Accept-Encoding": "identity"}  # a digest is that of the bytes as they are stored
        answer = await self._send(method, path, scope, headers)
        if answer.is_success:
            return answer
        if method == "HEAD":  # its error has no words
            answer = await self._send("GET", path, scope, headers)
            if answer.is_success:
                return answer
        raise self._transport.failure(answer, str(image))

    async def _send(self, method: str, path: str, scope: str, headers: Mapping[str, str]) -> httpx.Response:
        """Send, with the login once the registry has said which kind it wants, and again where that may help."""
        await self._transport.prove_scheme()
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=retry_if_exception(lambda error: isinstance(error, PassingError) and error.pause <= _LONGEST_PAUSE),
            reraise=True,
        )
        try:
            answer: httpx.Response = await retrying(
                self._attempt, method, f"{self._transport.base}{path}", scope, headers
            )
        except PassingError as error:
            if error.answer is not None:
                return error.answer
            raise self._transport.unreachable(error.reason) from error
        return answer

    async def _attempt(self, method: str, url: str, scope: str, headers: Mapping[str, str]) -> httpx.Response:
        challenged = False
        for _ in range(_MOST_REDIRECTS):
            here = urlsplit(url).netloc == self._transport.server
            login = self._authorization.headers(scope) if here else {}
            answer = await self._transport.once(method, url, {**headers, **login})
            if answer.status_code == httpx.codes.UNAUTHORIZED and here and not challenged:
                challenged = True
                await self._authorization.meet(answer.headers.get_list("www-authenticate"), scope, login)
            elif answer.is_redirect:
                try:
                    url = urljoin(url, answer.headers.get("location", ""))
                except ValueError:
                    raise self._transport.unreachable("it redirects to what is not a URL") from None
                if self._transport.secure and urlsplit(url).scheme != "https":
                    raise self._transport.unreachable(f"it redirects to {urlsplit(url).scheme}://, which is not safe")
            elif answer.status_code in PASSING:
                raise PassingError(status_of(answer), answer)
            else:
                return answer
        raise self._transport.unreachable("it redirects in a loop")


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, PassingError) else 0.0
    return max(asked, (wait_exponential(multiplier=0.3, max=5) + wait_random(0, 0.3))(state))


def _check_digest(image: Reference, found: str, *, asked_for: str, said: str = "") -> None:
    for expected, whose in ((asked_for, "was asked for"), (said, "it says")):
        if expected not in {"", found}:
            raise ImageError(
                f"{image}: the registry's answer has another digest than {whose}",
                hint="Ask whoever runs the registry: what it stores may be damaged.",
                detail=f"{whose}: {expected}\nit is: {found}",
            )


def _media_type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip()
