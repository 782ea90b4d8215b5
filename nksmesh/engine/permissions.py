"""Reading what a user may have no right to read: then a run goes on with less."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

from nksmesh.domain.common.errors import RefusedError

T = TypeVar("T")
D = TypeVar("D")


async def where_allowed(reading: Awaitable[T], otherwise: D) -> T | D:
    """Return what is read, or something else where the user may not read it.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses for another reason than the user's rights.
    """
    try:
        return await reading
    except RefusedError as exc:
        if exc.status != HTTPStatus.FORBIDDEN:
            raise
        return otherwise
