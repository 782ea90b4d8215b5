"""A cluster's objects: the port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from nksmesh.domain.kube.objects import Manifest, ObjectRef


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

    async def log_tail(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        """Return a container's last lines."""
