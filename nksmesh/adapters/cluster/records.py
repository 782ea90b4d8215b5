"""What runs leave in the cluster: records and histories, packed, each in a Secret in kube-system, one for each mesh.

There no uninstall of a mesh pulls them from under themselves. Secrets and not ConfigMaps, because they hold the
values that were given with -f and --set, as Helm's own do.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, Generic, TypeVar

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.record import RECORD_VERSION, Record
from nksmesh.domain.plan.history import HISTORY_VERSION, History, Run

HOME_NAMESPACE: Final = "kube-system"

MOST_BYTES: Final = 512 * 1024
"""Packed: a Secret may have 1 MiB, and base64 makes a third more of it."""

_TRIES: Final = 5

_T = TypeVar("_T", Record, History)


class _Documents(ABC, Generic[_T]):
    """The documents of one kind in a cluster, one for each control plane's namespace.

    Every method raises ClusterError where the cluster cannot be reached or refuses, or where a document cannot be
    understood.

    Attributes:
        noun: What one is, for people; also the Secret's key and its type, behind ``nksmesh/``.
        prefix: What the Secret's name starts with, before the control plane's namespace.
        version: The newest version of it that is understood here; documents say theirs as ``nksmesh``.
        remedy: What to do where one cannot be read.
    """

    noun: ClassVar[str]
    prefix: ClassVar[str]
    version: ClassVar[int]
    remedy: ClassVar[str]

    def __init__(self, objects: Objects) -> None:
        """Read and write over a connection."""
        self._objects = objects

    async def read_all(self) -> dict[str, _T]:
        """Return every document, by the control plane's namespace."""
        secrets = await self._objects.list("v1", "Secret", HOME_NAMESPACE, fields=f"type=nksmesh/{self.noun}")
        documents = [self._read(secret) for secret in secrets]
        return {document.namespace: document for document in documents}

    async def delete(self, namespace: str) -> None:
        """Forget what is kept of the mesh of a namespace."""
        await self._objects.delete(self._ref(namespace))

    @abstractmethod
    def _to_data(self, document: _T) -> Mapping[str, Any]: ...

    @abstractmethod
    def _from_data(self, data: Mapping[str, Any]) -> _T: ...

    def _ref(self, namespace: str) -> ObjectRef:
        return ObjectRef("v1", "Secret", f"{self.prefix}{namespace}", HOME_NAMESPACE)

    def _pack(self, document: _T) -> bytes:
        """Return a document as it is kept; the same document is the same bytes."""
        return gzip.compress(json.dumps({"nksmesh": self.version, **self._to_data(document)}).encode(), mtime=0)

    def _secret(self, namespace: str, packed: bytes, *, resource_version: str = "") -> dict[str, Any]:
        """Make the Secret of a packed document; with a resource version it goes over that state alone."""
        ref = self._ref(namespace)
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": f"nksmesh/{self.noun}",
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {"app.kubernetes.io/managed-by": "nksmesh"},
                **({"resourceVersion": resource_version} if resource_version else {}),
            },
            "data": {self.noun: base64.b64encode(packed).decode()},
        }

    def _read(self, secret: Mapping[str, Any]) -> _T:
        where = f"Secret {HOME_NAMESPACE}/{secret['metadata']['name']}"
        try:
            data = json.loads(gzip.decompress(base64.b64decode(secret["data"][self.noun])))
            if data["nksmesh"] > self.version:
                writer = f"nksmesh {data['written_by']}" if data.get("written_by") else "that nksmesh"
                raise ClusterError(
                    f"a newer nksmesh wrote the {self.noun} in {where}",
                    hint=f"Use {writer} or newer on this cluster.",
                )
            return self._from_data(data)
        except (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error) as exc:
            raise ClusterError(f"the {self.noun} in {where} cannot be read", hint=self.remedy, detail=str(exc)) from exc


class Records(_Documents[Record]):
    """The records of the meshes in a cluster."""

    noun = "record"
    prefix = "nksmesh."
    version = RECORD_VERSION
    remedy = "Delete it with kubectl delete secret, and run nksmesh install with all its options."

    async def write(self, record: Record) -> None:
        """Keep a record, over any earlier one."""
        await self._objects.apply(self._secret(record.namespace, self._pack(record)), self._ref(record.namespace))

    def _to_data(self, document: Record) -> Mapping[str, Any]:
        return document.to_data()

    def _from_data(self, data: Mapping[str, Any]) -> Record:
        return Record.from_data(data)


class Histories(_Documents[History]):
    """The histories of the meshes in a cluster."""

    noun = "history"
    prefix = "nksmesh.history."
    version = HISTORY_VERSION
    remedy = (
        "Delete it with kubectl delete secret. The list of runs is lost, and earlier runs can no longer be rolled back."
    )

    def __init__(self, objects: Objects) -> None:
        """Read and write over a connection."""
        super().__init__(objects)
        self._known: dict[str, tuple[History, str]] = {}

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        """Change a mesh's history; of what another run wrote meanwhile nothing is lost.

        Args:
            change: Makes the new history of what is kept; called again where somebody else wrote in between.

        Returns:
            The history as it is kept now.
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
        """Forget the runs of a mesh."""
        self._known.pop(namespace, None)
        await super().delete(namespace)

    async def _try_update(self, namespace: str, change: Callable[[History], History]) -> History:
        ref = self._ref(namespace)
        if namespace in self._known:
            history, version = self._known[namespace]
        else:
            found = await self._objects.get(ref)
            history = self._read(found) if found else History(namespace=namespace)
            version = str(found["metadata"]["resourceVersion"]) if found else ""
        history = change(history)
        packed = self._pack(history)
        while len(packed) > MOST_BYTES:
            smaller = history.without_oldest()
            if smaller == history:
                break
            history, packed = smaller, self._pack(smaller)
        secret = self._secret(namespace, packed, resource_version=version)
        write = self._objects.replace if version else self._objects.create
        written = await write(secret, ref)
        self._known[namespace] = history, str(written["metadata"]["resourceVersion"])
        return history

    def _to_data(self, document: History) -> Mapping[str, Any]:
        return {"namespace": document.namespace, "runs": [run.to_data() for run in document.runs]}

    def _from_data(self, data: Mapping[str, Any]) -> History:
        return History(namespace=data["namespace"], runs=tuple(Run.from_data(run) for run in data["runs"]))
