"""What runs leave in the cluster: records and histories, packed, each in a Secret in kube-system, one for each mesh.

There no uninstall of a mesh pulls them from under themselves. Secrets and not ConfigMaps, because they hold the
values that were given with -f and --set, as Helm's own do.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.record import RECORD_VERSION, Record
from nksmesh.domain.plan.history import HISTORY_VERSION, History, Run

HOME_NAMESPACE: Final = "kube-system"

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class DocumentKind:
    """One kind of kept document.

    Attributes:
        noun: What it is, for people; also the Secret's key and type.
        prefix: What the Secret's name starts with, before the control plane's namespace.
        version: The newest version of it that is understood here; documents say theirs as ``nksmesh``.
        remedy: What to do where one cannot be read.
    """

    noun: str
    prefix: str
    version: int
    remedy: str

    @property
    def secret_type(self) -> str:
        """The type of its Secrets, by which they are listed."""
        return f"nksmesh/{self.noun}"

    def ref(self, namespace: str) -> ObjectRef:
        """Name the Secret that a control plane's namespace has its document in."""
        return ObjectRef("v1", "Secret", f"{self.prefix}{namespace}", HOME_NAMESPACE)

    def pack(self, data: Mapping[str, Any]) -> bytes:
        """Return a document as it is kept; the same document is the same bytes."""
        return gzip.compress(json.dumps({"nksmesh": self.version, **data}).encode(), mtime=0)

    def secret(self, namespace: str, packed: bytes, *, resource_version: str = "") -> dict[str, Any]:
        """Make the Secret of a packed document; with a resource version it goes over that state alone."""
        ref = self.ref(namespace)
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": self.secret_type,
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {"app.kubernetes.io/managed-by": "nksmesh"},
                **({"resourceVersion": resource_version} if resource_version else {}),
            },
            "data": {self.noun: base64.b64encode(packed).decode()},
        }

    def read(self, secret: Mapping[str, Any], build: Callable[[Mapping[str, Any]], _T]) -> _T:
        """Read a document back.

        Args:
            build: Makes of the data what it is in the program.

        Raises:
            ClusterError: A later nksmesh wrote it, or it cannot be understood.
        """
        where = f"Secret {HOME_NAMESPACE}/{secret['metadata']['name']}"
        try:
            data = json.loads(gzip.decompress(base64.b64decode(secret["data"][self.noun])))
            if data["nksmesh"] > self.version:
                writer = f"nksmesh {data['written_by']}" if data.get("written_by") else "that nksmesh"
                raise ClusterError(
                    f"a newer nksmesh wrote the {self.noun} in {where}",
                    hint=f"Use {writer} or newer on this cluster.",
                )
            return build(data)
        except (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error) as exc:
            raise ClusterError(f"the {self.noun} in {where} cannot be read", hint=self.remedy, detail=str(exc)) from exc


_RECORD: Final = DocumentKind(
    noun="record",
    prefix="nksmesh.",
    version=RECORD_VERSION,
    remedy="Delete it with kubectl delete secret, and run nksmesh install with all its options.",
)


class Records:
    """The records of the meshes in a cluster, one for each control plane's namespace."""

    def __init__(self, objects: Objects) -> None:
        """Read and write over a connection."""
        self._objects = objects

    async def read_all(self) -> dict[str, Record]:
        """Return every record, by the control plane's namespace.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or a record cannot be understood.
        """
        secrets = await self._objects.list("v1", "Secret", HOME_NAMESPACE, fields=f"type={_RECORD.secret_type}")
        records = [_RECORD.read(secret, Record.from_data) for secret in secrets]
        return {record.namespace: record for record in records}

    async def write(self, record: Record) -> None:
        """Keep a record, over any earlier one.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        secret = _RECORD.secret(record.namespace, _RECORD.pack(record.to_data()))
        await self._objects.apply(secret, _RECORD.ref(record.namespace))

    async def delete(self, namespace: str) -> None:
        """Forget the mesh of a namespace.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        await self._objects.delete(_RECORD.ref(namespace))


MOST_BYTES: Final = 512 * 1024
"""Packed: a Secret may have 1 MiB, and base64 makes a third more of it."""

_HISTORY: Final = DocumentKind(
    noun="history",
    prefix="nksmesh.history.",
    version=HISTORY_VERSION,
    remedy="Delete it with kubectl delete secret. The list of runs is lost, and earlier "
    "runs can no longer be rolled back.",
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
