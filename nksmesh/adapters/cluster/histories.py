"""The history in the cluster: a Secret beside the record, for it holds what records hold; bounded."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.records import HOME_NAMESPACE
from nksmesh.domain.errors import ClusterError, RefusedError
from nksmesh.domain.history import HISTORY_VERSION, History, Run
from nksmesh.domain.objects import ObjectRef

MOST_BYTES: Final = 512 * 1024
"""Packed: a Secret may have 1 MiB, and base64 makes a third more of it."""

_TYPE: Final = "nksmesh/history"
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
        secrets = await self._objects.list("v1", "Secret", HOME_NAMESPACE, fields=f"type={_TYPE}")
        histories = [_read(secret) for secret in secrets]
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
        await self._objects.delete(_ref(namespace))

    async def _try_update(self, namespace: str, change: Callable[[History], History]) -> History:
        ref = _ref(namespace)
        if namespace in self._known:
            history, version = self._known[namespace]
        else:
            found = await self._objects.get(ref)
            history = _read(found) if found else History(namespace=namespace)
            version = str(found["metadata"]["resourceVersion"]) if found else ""
        history = change(history)
        packed = _pack(history)
        while len(packed) > MOST_BYTES:
            smaller = history.without_oldest()
            if smaller == history:
                break
            history, packed = smaller, _pack(smaller)
        manifest = _manifest(ref, packed, version)
        write = self._objects.replace if version else self._objects.create
        written = await write(manifest, ref)
        self._known[namespace] = history, str(written["metadata"]["resourceVersion"])
        return history


def _ref(namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", f"nksmesh.history.{namespace}", HOME_NAMESPACE)


def _pack(history: History) -> bytes:
    data = {
        "nksmesh": HISTORY_VERSION,
        "namespace": history.namespace,
        "runs": [run.to_data() for run in history.runs],
    }
    return gzip.compress(json.dumps(data).encode(), mtime=0)


def _manifest(ref: ObjectRef, packed: bytes, version: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": _TYPE,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {"app.kubernetes.io/managed-by": "nksmesh"},
            **({"resourceVersion": version} if version else {}),
        },
        "data": {"history": base64.b64encode(packed).decode()},
    }


def _read(secret: Mapping[str, Any]) -> History:
    where = f"Secret {HOME_NAMESPACE}/{secret['metadata']['name']}"
    try:
        data = json.loads(gzip.decompress(base64.b64decode(secret["data"]["history"])))
        if data["nksmesh"] > HISTORY_VERSION:
            raise ClusterError(
                f"a later nksmesh wrote the history in {where}",
                hint="Use that nksmesh on this cluster, or a later one.",
            )
        return History(namespace=data["namespace"], runs=tuple(Run.from_data(one) for one in data["runs"]))
    except (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error) as exc:
        raise ClusterError(
            f"the history in {where} cannot be read",
            hint="Delete it with kubectl delete secret: the list of runs, and the way back before them, is lost.",
            detail=str(exc),
        ) from exc
