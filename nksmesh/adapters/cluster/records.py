"""The record in the cluster: a Secret in kube-system, where no uninstall of the mesh pulls it from under itself.

A Secret and not a ConfigMap, because it holds the values that were given with -f and --set, as Helm's own does.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.errors import ClusterError
from nksmesh.domain.objects import ObjectRef
from nksmesh.domain.record import RECORD_VERSION, Record

HOME_NAMESPACE: Final = "kube-system"
_TYPE: Final = "nksmesh/record"


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
        secrets = await self._objects.list("v1", "Secret", HOME_NAMESPACE, fields=f"type={_TYPE}")
        records = [_read(secret) for secret in secrets]
        return {record.namespace: record for record in records}

    async def write(self, record: Record) -> None:
        """Keep a record, over any earlier one.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        ref = _ref(record.namespace)
        packed = gzip.compress(json.dumps(record.to_data()).encode(), mtime=0)
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": _TYPE,
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {"app.kubernetes.io/managed-by": "nksmesh"},
            },
            "data": {"record": base64.b64encode(packed).decode()},
        }
        await self._objects.apply(manifest, ref)

    async def delete(self, namespace: str) -> None:
        """Forget the mesh of a namespace.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        await self._objects.delete(_ref(namespace))


def _ref(namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", f"nksmesh.{namespace}", HOME_NAMESPACE)


def _read(secret: Mapping[str, Any]) -> Record:
    try:
        data = json.loads(gzip.decompress(base64.b64decode(secret["data"]["record"])))
        if data["nksmesh"] > RECORD_VERSION:
            raise ClusterError(
                f"a later nksmesh wrote the record in Secret {HOME_NAMESPACE}/{secret['metadata']['name']}",
                hint=f"Use nksmesh {data.get('written_by', '')} or later on this cluster.".replace("  ", " "),
            )
        return Record.from_data(data)
    except (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error) as exc:
        raise ClusterError(
            f"the record in Secret {HOME_NAMESPACE}/{secret['metadata']['name']} cannot be read",
            hint="Delete it with kubectl delete secret, and give install's options in full.",
            detail=str(exc),
        ) from exc
