"""Whether a namespace of the mesh holds anything that is not the mesh's: only then may a purge remove it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from nksmesh.commands.uninstall.orphan_webhooks import keys_of
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef, helm_marks, ref_of
from nksmesh.domain.uninstall.leftovers import Leftover
from nksmesh.engine import observation
from nksmesh.engine.discovery import Installation
from nksmesh.engine.ports import Cluster

KEPT_BY_KUBERNETES: Final = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
"""Namespaces that the API server itself does not let go."""

_KUBERNETES_OWN: Final = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
_PASSING: Final = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics"})
"""Kinds that come and go with others, and hold nothing of a user's."""

_HELM_RECORD: Final = re.compile(r"sh\.helm\.release\.v1\.(?P<name>.+)\.v\d+")
_TOKEN_OF: Final = "kubernetes.io/service-account.name"  # noqa: S105 - an annotation's name


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in a namespace.

    Attributes:
        others: What is neither the mesh's nor Kubernetes' own.
        unknown: Kinds that could not be looked at, and why.
        mesh: The uids of what is the mesh's.
    """

    others: tuple[ObjectRef, ...] = ()
    unknown: tuple[str, ...] = ()
    mesh: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether it certainly holds nothing but the mesh's."""
        return not self.others and not self.unknown

    @property
    def words(self) -> tuple[str, ...]:
        """Why the namespace stays, one thing each."""
        return (*map(str, self.others), *self.unknown)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found in several namespaces.

    Attributes:
        unserved: Aggregated APIs whose server does not answer: what they have could not be looked at.
    """

    namespaces: Mapping[str, Contents]
    unserved: tuple[str, ...] = ()


class NamespaceReader:
    """Judges namespaces: what is the mesh's in them, and what is not.

    Args:
        leftovers: What its releases leave.
    """

    def __init__(self, cluster: Cluster, installation: Installation, leftovers: Iterable[Leftover]) -> None:
        """Prepare; nothing is read yet."""
        self._cluster = cluster
        self._releases = keys_of(installation)
        going = {leftover.ref for leftover in leftovers if not leftover.stays}
        staying = {_group_of(leftover.ref.name) for leftover in leftovers if leftover.stays}
        self._left = going
        self._groups = {_group_of(ref.name) for ref in going if ref.kind == observation.CRDS.kind} - staying

    async def survey(self, namespaces: Iterable[str], known: Mapping[str, Contents] | None = None) -> Survey:
        """Look into namespaces that exist.

        Args:
            known: What was found in them before: what was the mesh's then is so still, though its owner is gone.

        Raises:
            ClusterError: The cluster cannot be reached.
        """
        served, silent = await self._cluster.objects.kinds()
        kinds = [kind for kind in served if kind[1] not in _PASSING and kind[0].split("/")[0] not in self._groups]
        aggregated = await asyncio.gather(*(self._aggregated(version) for version in silent))
        unserved = [version for version, ours in zip(silent, aggregated, strict=True) if ours]
        unknown = [
            f"cannot tell what {version} contains: the API server does not serve it at the moment"
            for version, ours in zip(silent, aggregated, strict=True)
            if not ours
        ]
        names = tuple(namespaces)
        before = {name: (known or {}).get(name, Contents()).mesh for name in names}
        found = await asyncio.gather(*(self._look(name, kinds, unserved, before[name]) for name in names))
        contents = {
            name: Contents(others=look.others, unknown=(*unknown, *look.unknown), mesh=look.mesh)
            for name, look in zip(names, found, strict=True)
        }
        return Survey(namespaces=contents, unserved=tuple(dict.fromkeys(unserved)))

    async def _look(
        self, namespace: str, kinds: Iterable[tuple[str, str]], unserved: list[str], known: frozenset[str]
    ) -> Contents:
        unknown: list[str] = []
        listed = await asyncio.gather(*(self._list(kind, namespace, unserved, unknown) for kind in kinds))
        objects = [live for some in listed for live in some]
        mesh = self._mesh_in(objects, known)
        others = [live for live in objects if not self._counts_as_ours(live, mesh)]
        return Contents(others=tuple(map(ref_of, others)), unknown=tuple(unknown), mesh=frozenset(mesh))

    async def _list(
        self, kind: tuple[str, str], namespace: str, unserved: list[str], unknown: list[str]
    ) -> list[dict[str, Any]]:
        try:
            return await self._cluster.objects.list(*kind, namespace, metadata_only=True)
        except ClusterError as exc:
            status = exc.status if isinstance(exc, RefusedError) else 0
            if status == HTTPStatus.NOT_FOUND:
                return []  # its CRD went meanwhile
            if status == HTTPStatus.SERVICE_UNAVAILABLE and await self._aggregated(kind[0]):
                unserved.append(kind[0])
            else:
                unknown.append(f"cannot tell whether it contains {kind[1]} ({kind[0]}): {exc.detail or exc.message}")
            return []

    async def _aggregated(self, api_version: str) -> bool:
        """Tell whether an API version is another server's, behind the API server: that keeps nothing in etcd."""
        group, _, version = api_version.rpartition("/")
        ref = ObjectRef("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}")
        try:
            found = await self._cluster.objects.get(ref)
        except ClusterError:
            return False
        return bool(((found or {}).get("spec") or {}).get("service"))

    def _mesh_in(self, objects: list[dict[str, Any]], known: frozenset[str]) -> set[str]:
        """Return the uids of what is the mesh's: what its releases own, and what controllers made of that."""
        mesh = {*known, *(_uid(live) for live in objects if helm_marks(live) in self._releases)}
        while True:
            made = {_uid(live) for live in objects if _owners(live) and _owners(live) <= mesh} - mesh
            if not made:
                break
            mesh |= made
        ours = [live for live in objects if _uid(live) in mesh]
        accounts = {live["metadata"]["name"] for live in ours if live["kind"] == "ServiceAccount"}
        return mesh | {
            _uid(live)
            for live in objects
            if live["kind"] == "Secret" and (live["metadata"].get("annotations") or {}).get(_TOKEN_OF) in accounts
        }

    def _counts_as_ours(self, live: Mapping[str, Any], mesh: set[str]) -> bool:
        """Tell what goes with the mesh without a loss: its own, istiod's, Helm's records of it, Kubernetes' own."""
        kind, name = live["kind"], str(live["metadata"]["name"])
        record = _HELM_RECORD.fullmatch(name)
        return (
            (_uid(live) in mesh and bool(_uid(live)))
            or helm_marks(live) in self._releases
            or ref_of(live) in self._left
            or (kind, name) in _KUBERNETES_OWN
            or (kind == "ConfigMap" and name in observation.PUBLISHED)
            or (kind == "Secret" and (live["metadata"].get("annotations") or {}).get(_TOKEN_OF) == "default")
            or (record is not None and (live["metadata"].get("namespace"), record["name"]) in self._releases)
        )


def _group_of(crd: str) -> str:
    return crd.partition(".")[2]


def _uid(live: Mapping[str, Any]) -> str:
    return str(live["metadata"].get("uid", ""))


def _owners(live: Mapping[str, Any]) -> set[str]:
    return {str(owner.get("uid")) for owner in live["metadata"].get("ownerReferences") or ()}
