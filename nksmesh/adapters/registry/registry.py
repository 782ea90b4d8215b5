"""One registry: requests with the login that it asks for, and what it has under an image's name.

The protocol is the OCI distribution specification 1.1; how real servers differ from it was tried against distribution
2.8 and 3.1.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
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

from nksmesh.adapters.http import PASSING, certificate_error, reason_of, status_of, through
from nksmesh.domain.common.addresses import is_loopback
from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.images.login import Login, without_secrets
from nksmesh.domain.images.manifest import INDEXES, MANIFESTS, FoundManifest, platforms_of
from nksmesh.domain.images.reference import Reference

ACCEPT: Final = ", ".join(sorted(INDEXES | MANIFESTS))
"""All four, always: distribution 2.8 answers an index with 404, or with another digest, where one is left out."""

ATTEMPTS: Final = 4
_MOST_MANIFEST: Final = 8 * 1024 * 1024
_MOST_REDIRECTS: Final = 5
_LONGEST_PAUSE: Final = 10.0
"""Seconds. A registry that asks for a longer one is not asked again: whoever waits should know."""

_TOKEN_SECONDS: Final = 60
"""How long a token lasts that does not say so (distribution's token specification)."""
_SPARE_SECONDS: Final = 10
_MOST_WORDS: Final = 2000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TOKEN: Final = re.compile(r"[!-~]+")
"""What a header may hold; the errors about another one would repeat it."""
_PARAMETER: Final = re.compile(r'([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class Registry:
    """A registry and one login to it.

    Args:
        server: Where its API is: a host, with a port where it is not HTTPS's own.
        plain: It speaks HTTP. One on this machine may do so without being told, as Docker treats them.
    """

    def __init__(self, http: httpx.AsyncClient, server: str, login: Login | None, *, plain: bool = False) -> None:
        self._http = http
        self._server = server
        self._login = login
        self._base = f"{'http' if plain else 'https'}://{server}"
        self._proved = plain or not is_loopback(server)
        self._proving = asyncio.Lock()
        self._authorization: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

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
        raise self._failure(answer, str(image))

    async def _prove_scheme(self) -> None:
        """Find out whether a registry on this machine speaks TLS."""
        async with self._proving:
            if not self._proved:
                try:
                    async with self._http.stream("GET", f"{self._base}/v2/"):
                        pass
                except httpx.TransportError as error:
                    if _speaks_no_tls(error):
                        self._base = f"http://{self._server}"
                self._proved = True

    async def _send(self, method: str, path: str, scope: str, headers: Mapping[str, str]) -> httpx.Response:
        """Send, with the login once the registry has said which kind it wants, and again where that may help."""
        if not self._proved:
            await self._prove_scheme()
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=retry_if_exception(lambda error: isinstance(error, _PassingError) and error.pause <= _LONGEST_PAUSE),
            reraise=True,
        )
        try:
            answer: httpx.Response = await retrying(self._attempt, method, f"{self._base}{path}", scope, headers)
        except _PassingError as error:
            if error.answer is not None:
                return error.answer
            raise self._unreachable(error.reason) from error
        return answer

    async def _attempt(self, method: str, url: str, scope: str, headers: Mapping[str, str]) -> httpx.Response:
        challenged = False
        for _ in range(_MOST_REDIRECTS):
            here = urlsplit(url).netloc == self._server
            login = self._with_login(scope) if here else {}
            answer = await self._once(method, url, {**headers, **login})
            if answer.status_code == httpx.codes.UNAUTHORIZED and here and not challenged:
                challenged = True
                await self._meet(answer.headers.get_list("www-authenticate"), scope, login)
            elif answer.is_redirect:
                try:
                    url = urljoin(url, answer.headers.get("location", ""))
                except ValueError:
                    raise self._unreachable("it redirects to what is not a URL") from None
                if self._base.startswith("https:") and urlsplit(url).scheme != "https":
                    raise self._unreachable(f"it redirects to {urlsplit(url).scheme}://, which is not safe")
            elif answer.status_code in PASSING:
                raise _PassingError(status_of(answer), answer)
            else:
                return answer
        raise self._unreachable("it redirects in a loop")

    async def _once(
        self,
        method: str,
        url: str | httpx.URL,
        headers: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        whose: str = "",
    ) -> httpx.Response:
        content = bytearray()
        try:
            async with self._http.stream(method, url, headers=dict(headers), data=form) as answer:
                async for part in answer.aiter_bytes():  # decoded: some servers compress, whatever they are asked
                    content += part
                    if len(content) > _MOST_MANIFEST:
                        raise self._unreachable(f"{whose}its answer is larger than any manifest")
        except httpx.InvalidURL:
            raise self._unreachable(f"{whose}it sends this machine to what is not a URL") from None
        except httpx.DecodingError as error:
            raise self._unreachable(f"{whose}its answer is not compressed as it says") from error
        except httpx.TransportError as error:
            certain = httpx.UnsupportedProtocol | httpx.ProxyError | httpx.ConnectError | httpx.ConnectTimeout
            if isinstance(error, certain) or certificate_error(error):
                raise self._unreachable(whose + reason_of(error)) from error
            raise _PassingError(whose + reason_of(error)) from error
        kept = [(name, text) for name, text in answer.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(answer.status_code, headers=kept, content=bytes(content), request=answer.request)

    def _with_login(self, scope: str) -> dict[str, str]:
        header, until = self._authorization.get(scope, ("", 0.0))
        return {"Authorization": header} if header and time.monotonic() < until else {}

    async def _meet(self, challenges: list[str], scope: str, refused: Mapping[str, str]) -> None:
        """Get what a registry wants to see: a token of its service, once for a scope, or user and password."""
        async with self._locks.setdefault(scope, asyncio.Lock()):
            if self._with_login(scope) not in ({}, refused):
                return  # another request has met the same challenge meanwhile
            for challenge in challenges:
                kind, _, rest = challenge.partition(" ")
                said = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
                if kind.lower() == "bearer" and said.get("realm"):
                    self._authorization[scope] = await self._token(said, scope)
                    return
                if kind.lower() == "basic" and self._login is not None and self._login.username:
                    self._authorization[scope] = (self._login.basic, float("inf"))
                    return

    async def _token(self, said: Mapping[str, str], scope: str) -> tuple[str, float]:
        try:
            realm = httpx.URL(said["realm"])
        except httpx.InvalidURL:
            raise self._unreachable("it names a token service whose address is not a URL") from None
        service = realm.netloc.decode()
        if self._base.startswith("https:") and realm.scheme != "https":
            raise self._unreachable(f"it names a token service without TLS, {service}")
        form = {"service": said.get("service", ""), "scope": scope}
        login, whose = self._login, f"its token service {service}: "
        if login is not None and login.token:
            form |= {"grant_type": "refresh_token", "client_id": "nksmesh", "refresh_token": login.token}
            answer = await self._once("POST", realm, {}, form=form, whose=whose)
        else:
            headers = {"Authorization": login.basic} if login is not None else {}
            answer = await self._once("GET", realm.copy_merge_params(form), headers, whose=whose)
        if answer.status_code in PASSING:
            raise _PassingError(whose + status_of(answer))
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.BAD_REQUEST}:
            raise self._failure(answer, f"{service}, the token service of {self._server}", denied=True)
        try:
            body: Any = answer.json()
            token = str(body.get("token") or body["access_token"])
            seconds = float(body.get("expires_in") or _TOKEN_SECONDS)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            token, seconds = "", 0.0
        if not _TOKEN.fullmatch(token):
            raise self._unreachable(f"its token service {service} gives no token ({status_of(answer)})")
        return f"Bearer {token}", time.monotonic() + max(seconds - _SPARE_SECONDS, 1.0)

    def _failure(self, answer: httpx.Response, what: str, *, denied: bool = False) -> ImageError:
        sent = Login(source="the request", token=answer.request.headers.get("authorization", "").partition(" ")[2])
        words = without_secrets(_words(answer), [self._login, sent])[:_MOST_WORDS]
        if answer.status_code == httpx.codes.NOT_FOUND:
            return MissingImageError(
                f"{what} does not exist", hint="Copy it there, or pass another --hub or --version.", detail=words
            )
        if denied or answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            with_login = f"the login of {self._login.source}" if self._login else "a request without a login"
            return DeniedImageError(
                f"{what}: the registry refuses {with_login}",
                hint="Check that this login may pull from that repository, and that it has not expired."
                if self._login
                else "Name a pull secret in pull_secrets of mesh.yaml.",
                detail=words,
            )
        return ImageError(f"{what}: {status_of(answer)}", hint="Try again later.", detail=words, passing=True)

    def _unreachable(self, reason: str) -> ImageError:
        return ImageError(
            f"the registry {self._server} cannot be reached{through(self._base)}: {reason}",
            hint=f"Check that this machine can reach {self._server} (HTTPS_PROXY is used).",
            passing=True,
        )


class _PassingError(Exception):
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


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, _PassingError) else 0.0
    return max(asked, (wait_exponential(multiplier=0.3, max=5) + wait_random(0, 0.3))(state))


def _speaks_no_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, ssl.SSLCertVerificationError)
        error = error.__cause__ or error.__context__
    return False


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


def _words(answer: httpx.Response) -> str:
    """Return what a registry says of an error, in its own form."""
    try:
        errors = json.loads(answer.content)["errors"]
        return "\n".join(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
