"""A cluster's objects, read and written one by one, or watched: the ports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query
from nksmesh.engine.ports.forwarding import Connection


class Objects(Protocol):
    """A cluster's objects."""

    async def get(self, ref: ObjectRef, *, metadata_only: bool = False) -> dict[str, Any] | None:
        """Read one, or None."""

    async def get_all(
        self, refs: Iterable[ObjectRef], *, metadata_only: bool = False
    ) -> dict[ObjectRef, dict[str, Any] | None]:
        """Read several at once."""

    async def list_briefly(self, api_version: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        """List pods, ReplicaSets, Deployments, StatefulSets or DaemonSets as the fields that workloads are told by."""

    async def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        most: int = 0,
    ) -> list[dict[str, Any]]:
        """List those of a kind, or no more than some of them."""

    async def apply(
        self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False, force: bool = True, manager: str = ...
    ) -> dict[str, Any]:
        """Apply one server-side."""

    async def create(self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False) -> dict[str, Any]:
        """Create one, or ask what would come of it."""

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = ...
    ) -> dict[str, Any]:
        """Merge a patch into one, or ask what would come of it."""

    async def delete(self, ref: ObjectRef, *, orphan: bool = False) -> bool:
        """Delete one, and leave what it owns alone where ``orphan`` is said; False where it was not there."""

    async def kinds(self) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
        """List every (apiVersion, kind) that can be listed inside a namespace, and the API versions that are silent."""

    def forget(self, api_version: str) -> None:
        """Ask again which kinds an API version has, when one is needed next."""

    async def serves(self, api_version: str, resource: str) -> bool:
        """Tell whether the server has a resource, such as ``serviceaccounts/token``."""

    async def may(self, verb: str, ref: ObjectRef | None = None) -> bool:
        """Ask whether the user may do something to an object, or everything to all."""

    async def log_tail(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        """Return a container's last lines."""


class Pods(Protocol):
    """A cluster's pods, seen from inside."""

    def http(self, namespace: str, pod: str, port: int) -> AbstractAsyncContextManager[Callable[[str], Awaitable[str]]]:
        """Open a connection for GETs, one after another, to a port that a pod listens on, its loopback included."""

    def forward(self, namespace: str, pod: str, port: int) -> AbstractAsyncContextManager[Connection]:
        """Open a connection to a port that a pod listens on."""

    async def run(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
        """Run a command in a container, and return what it wrote to stdout."""


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
