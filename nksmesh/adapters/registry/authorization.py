"""What a registry wants to see before it answers: a token of its service, or user and password."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from nksmesh.adapters.http import PASSING, status_of
from nksmesh.adapters.registry.transport import PassingError, Transport
from nksmesh.domain.images.login import Login

_TOKEN_SECONDS: Final = 60
"""How long a token lasts that does not say so (distribution's token specification)."""

_SPARE_SECONDS: Final = 10
_TOKEN: Final = re.compile(r"[!-~]+")
"""What a header may hold; the errors about another one would repeat it."""

_PARAMETER: Final = re.compile(r'([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class Authorization:
    """The headers that a registry lets one login in with, by scope (``repository:istio/pilot:pull``)."""

    def __init__(self, transport: Transport, login: Login | None) -> None:
        self._transport = transport
        self._login = login
        self._known: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def headers(self, scope: str) -> dict[str, str]:
        """Return what is sent along for a scope; nothing before the registry has asked for it."""
        header, until = self._known.get(scope, ("", 0.0))
        return {"Authorization": header} if header and time.monotonic() < until else {}

    async def meet(self, challenges: list[str], scope: str, refused: Mapping[str, str]) -> None:
        """Get what a registry wants to see: a token of its service, once for a scope, or user and password.

        Args:
            challenges: Its WWW-Authenticate headers.
            refused: The headers that it has just refused.

        Raises:
            PassingError: The token service has too much to do.
            ImageError: It gives no token, or refuses the login.
        """
        async with self._locks.setdefault(scope, asyncio.Lock()):
            if self.headers(scope) not in ({}, refused):
                return  # another request has met the same challenge meanwhile
            for challenge in challenges:
                kind, _, rest = challenge.partition(" ")
                said = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
                if kind.lower() == "bearer" and said.get("realm"):
                    self._known[scope] = await self._token(said, scope)
                    return
                if kind.lower() == "basic" and self._login is not None and self._login.username:
                    self._known[scope] = (self._login.basic, float("inf"))
                    return

    async def _token(self, said: Mapping[str, str], scope: str) -> tuple[str, float]:
        try:
            realm = httpx.URL(said["realm"])
        except httpx.InvalidURL:
            raise self._transport.unreachable("it names a token service whose address is not a URL") from None
        service = realm.netloc.decode()
        if self._transport.secure and realm.scheme != "https":
            raise self._transport.unreachable(f"it names a token service without TLS, {service}")
        form = {name: text for name, text in (("service", said.get("service")), ("scope", scope)) if text}
        login, whose = self._login, f"its token service {service}: "
        if login is not None and login.token:
            form |= {"grant_type": "refresh_token", "client_id": "nksmesh", "refresh_token": login.token}
            answer = await self._transport.once("POST", realm, {}, form=form, whose=whose)
        else:
            headers = {"Authorization": login.basic} if login is not None else {}
            answer = await self._transport.once("GET", realm.copy_merge_params(form), headers, whose=whose)
        if answer.status_code in PASSING:
            raise PassingError(whose + status_of(answer))
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.BAD_REQUEST}:
            raise self._transport.failure(
                answer, f"{service}, the token service of {self._transport.server}", denied=True
            )
        try:
            body: Any = answer.json()
            token = str(body.get("token") or body["access_token"])
            seconds = float(body.get("expires_in") or _TOKEN_SECONDS)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            token, seconds = "", 0.0
        if not _TOKEN.fullmatch(token):
            raise self._transport.unreachable(f"its token service {service} gives no token ({status_of(answer)})")
        return f"Bearer {token}", time.monotonic() + max(seconds - _SPARE_SECONDS, 1.0)
