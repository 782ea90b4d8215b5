"""Lists kept current by watches: the port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from nksmesh.domain.kube.objects import Manifest, Query


class Live(Protocol):
    """Lists kept current by watches."""

    @property
    def lost(self) -> bool:
        """Whether the API server does not answer at the moment."""

    async def follow(self, queries: Iterable[Query]) -> Sequence[Query]:
        """List, and keep current; return those that were not followed before."""

    async def unfollow(self, queries: Iterable[Query]) -> None:
        """Keep current no longer."""

    async def follow_from_now(self, query: Query) -> None:
        """Watch without the list."""

    def find(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Return the followed objects of a kind."""

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """Return one followed object."""

    def put(self, query: Query, manifest: Manifest) -> None:
        """Take in what a write returned."""

    @property
    def version(self) -> int:
        """Counts the changes."""

    async def changed(self, since: int, timeout: float | None = None) -> None:
        """Wait for a later version, or the timeout in seconds."""
