"""Reading what a user may have no right to read: then a run goes on with less."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final, TypeVar

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest

T = TypeVar("T")
D = TypeVar("D")

SOMETHING: Final[Manifest] = {"metadata": {}}
"""An object that may not be read: it is taken to be there, and to be somebody else's."""


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
