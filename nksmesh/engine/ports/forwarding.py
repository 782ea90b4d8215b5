"""A port of this machine that leads into the cluster: the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias


class Connection(Protocol):
    """A connection into a pod."""

    async def send(self, data: bytes) -> None:
        """Send bytes to the pod."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what the pod sends, until it hangs up."""


Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a connection into the pod that is there now."""


class LocalPorts(Protocol):
    """Ports of this machine."""

    def listening(self, address: str, port: int, connect: Connect) -> AbstractAsyncContextManager[int]:
        """Listen, and lead each connection into a pod; the port is the one that was taken, where 0 left it open."""
