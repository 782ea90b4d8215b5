"""Documents that are kept in the cluster: packed, each in a Secret in kube-system, one for each mesh.

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
from typing import Any, Final, TypeVar

from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import ObjectRef

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
                    f"a later nksmesh wrote the {self.noun} in {where}",
                    hint=f"Use {writer} on this cluster, or a later one.",
                )
            return build(data)
        except (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error) as exc:
            raise ClusterError(f"the {self.noun} in {where} cannot be read", hint=self.remedy, detail=str(exc)) from exc
