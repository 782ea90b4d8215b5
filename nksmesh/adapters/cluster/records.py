"""The records in the cluster."""

from __future__ import annotations

from typing import Final

from nksmesh.adapters.cluster.kept_documents import HOME_NAMESPACE, DocumentKind
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.mesh.record import RECORD_VERSION, Record

_RECORD: Final = DocumentKind(
    noun="record",
    prefix="nksmesh.",
    version=RECORD_VERSION,
    remedy="Delete it with kubectl delete secret, and give install's options in full.",
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
