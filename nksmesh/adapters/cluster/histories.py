"""The history in the cluster, beside the record; bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from nksmesh.adapters.cluster.kept_documents import HOME_NAMESPACE, DocumentKind
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.plan.history import HISTORY_VERSION, History, Run

MOST_BYTES: Final = 512 * 1024
"""Packed: a Secret may have 1 MiB, and base64 makes a third more of it."""

_HISTORY: Final = DocumentKind(
    noun="history",
    prefix="nksmesh.history.",
    version=HISTORY_VERSION,
    remedy="Delete it with kubectl delete secret: the list of runs, and the way back before them, is lost.",
)
_TRIES: Final = 5


class Histories:
    """The histories of the meshes in a cluster, one for each control plane's namespace."""

    def __init__(self, objects: Objects) -> None:
        """Read and write over a connection."""
        self._objects = objects
        self._known: dict[str, tuple[History, str]] = {}

    async def read_all(self) -> dict[str, History]:
        """Return every history, by the control plane's namespace.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or a history cannot be understood.
        """
        secrets = await self._objects.list("v1", "Secret", HOME_NAMESPACE, fields=f"type={_HISTORY.secret_type}")
        histories = [_HISTORY.read(secret, _of_data) for secret in secrets]
        return {history.namespace: history for history in histories}

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        """Change a mesh's history; of what another run wrote meanwhile nothing is lost.

        Args:
            namespace: The control plane's namespace.
            change: Makes the new history of what is kept; called again where somebody else wrote in between.

        Returns:
            The history as it is kept now.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or the history cannot be understood.
        """
        for _ in range(_TRIES - 1):
            try:
                return await self._try_update(namespace, change)
            except RefusedError as exc:
                if exc.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                    raise
                self._known.pop(namespace, None)
        return await self._try_update(namespace, change)

    async def delete(self, namespace: str) -> None:
        """Forget the runs of a mesh.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        self._known.pop(namespace, None)
        await self._objects.delete(_HISTORY.ref(namespace))

    async def _try_update(self, namespace: str, change: Callable[[History], History]) -> History:
        ref = _HISTORY.ref(namespace)
        if namespace in self._known:
            history, version = self._known[namespace]
        else:
            found = await self._objects.get(ref)
            history = _HISTORY.read(found, _of_data) if found else History(namespace=namespace)
            version = str(found["metadata"]["resourceVersion"]) if found else ""
        history = change(history)
        packed = _pack(history)
        while len(packed) > MOST_BYTES:
            smaller = history.without_oldest()
            if smaller == history:
                break
            history, packed = smaller, _pack(smaller)
        secret = _HISTORY.secret(namespace, packed, resource_version=version)
        write = self._objects.replace if version else self._objects.create
        written = await write(secret, ref)
        self._known[namespace] = history, str(written["metadata"]["resourceVersion"])
        return history


def _pack(history: History) -> bytes:
    return _HISTORY.pack({"namespace": history.namespace, "runs": [run.to_data() for run in history.runs]})


def _of_data(data: Mapping[str, Any]) -> History:
    return History(namespace=data["namespace"], runs=tuple(Run.from_data(one) for one in data["runs"]))
