"""Objects of a cluster: read, applied server-side, created, deleted; and where each kind lives."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from nksmesh.adapters.cluster.api import JSON, METADATA, METADATA_LIST, Api
from nksmesh.adapters.cluster.protobuf import PROTOBUF, NotProtobufError, read_list
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import CLUSTER_SCOPED, FIELD_MANAGER, Manifest, ObjectRef

_APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
"""Without the charset the Kubernetes client would write the body itself, as JSON."""

_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

_MANY: Final = 8
"""So many objects of one kind are listed, and not read one by one: Istio's CRDs, of a cluster's CRDs."""


@dataclass(frozen=True)
class Resource:
    """How the API server names a kind in paths."""

    api_version: str
    plural: str
    namespaced: bool
    listable: bool


BUILT_IN: Final = {
    (version, kind): Resource(version, f"{kind.lower()}s", namespaced=kind not in CLUSTER_SCOPED, listable=True)
    for version, kinds in {
        "v1": ("ConfigMap", "Event", "Namespace", "Node", "Pod", "Secret", "Service", "ServiceAccount"),
        "admissionregistration.k8s.io/v1": ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
        "apps/v1": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
        "autoscaling/v2": ("HorizontalPodAutoscaler",),
        "coordination.k8s.io/v1": ("Lease",),
        "discovery.k8s.io/v1": ("EndpointSlice",),
        "policy/v1": ("PodDisruptionBudget",),
        "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    }.items()
    for kind in kinds
}
"""What every API server since Kubernetes 1.23 serves under these names: asking for them would be a round trip more."""


class Objects:
    """The objects behind an API server, of any kind it serves.

    Every method raises ClusterError where the cluster cannot be reached, or refuses.
    """

    def __init__(self, api: Api) -> None:
        """Work over a connection."""
        self._api = api
        self._kinds: dict[str, asyncio.Task[dict[str, Resource]]] = {}

    async def close(self) -> None:
        """End what is still being asked, on behalf of requests that were cancelled."""
        for asked in self._kinds.values():
            asked.cancel()
        await asyncio.gather(*self._kinds.values(), return_exceptions=True)

    async def path_of(self, ref: ObjectRef) -> str | None:
        """Return an object's path, or None where the server does not serve its kind (its CRD is not there)."""
        resource = await self.resource(ref.api_version, ref.kind)
        if resource is None:
            return None
        return f"{collection(resource, ref.namespace)}/{ref.name}"

    async def get(self, ref: ObjectRef, *, metadata_only: bool = False) -> dict[str, Any] | None:
        """Read an object, or None where it (or its kind) does not exist."""
        path = await self.path_of(ref)
        return None if path is None else await self._api.get(path, accept=METADATA if metadata_only else JSON)

    async def get_all(
        self, refs: Iterable[ObjectRef], *, metadata_only: bool = False
    ) -> dict[ObjectRef, dict[str, Any] | None]:
        """Read several objects at once; where many of one kind are wanted, the metadata of all are one list."""
        wanted = list(dict.fromkeys(refs))
        kinds = Counter((ref.api_version, ref.kind, ref.namespace) for ref in wanted)
        many = [kind for kind, count in kinds.items() if metadata_only and count >= _MANY]
        lists = await asyncio.gather(*(self.list(*kind, metadata_only=True) for kind in many))
        listed = {
            ObjectRef(api_version, kind, item["metadata"]["name"], namespace): item
            for (api_version, kind, namespace), items in zip(many, lists, strict=True)
            for item in items
        }
        alone = [ref for ref in wanted if (ref.api_version, ref.kind, ref.namespace) not in many]
        read = await asyncio.gather(*(self.get(ref, metadata_only=metadata_only) for ref in alone))
        found = {**listed, **dict(zip(alone, read, strict=True))}
        return {ref: found.get(ref) for ref in wanted}

    async def list_briefly(self, api_version: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        """List pods, or what makes them, however many there are: of each the few fields of ``protobuf.DECODED``.

        They come from the API server's cache, which its watches come from, too: so many objects read from etcd, page
        by page, take it five times as long. What is listed is hardly ever older than what a page would be when the
        last one has come.
        """
        resource = await self.resource(api_version, kind)
        if resource is None:
            return []
        path, query = collection(resource, namespace), {"resourceVersion": "0"}
        try:
            return await self._api.taken(path, query, lambda body: read_list(body, kind), accept=PROTOBUF)
        except NotProtobufError as exc:
            raise self._api.not_kubernetes(str(exc)) from exc

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
        """List the objects of a kind, in a namespace or everywhere; none where the kind is not served.

        Args:
            namespace: The namespace; empty is everywhere.
            labels: A label selector.
            fields: A field selector.
            metadata_only: Ask for the objects' metadata alone.
            most: List no more than so many; 0 is all.
        """
        resource = await self.resource(api_version, kind)
        if resource is None:
            return []
        asked = (("labelSelector", labels), ("fieldSelector", fields), ("limit", str(most or "")))
        query = {key: text for key, text in asked if text}
        path = collection(resource, namespace)
        accept = METADATA_LIST if metadata_only else JSON
        answer = await self._api.get(path, query=query, accept=accept) or {}
        return [{**item, "apiVersion": api_version, "kind": kind} for item in answer.get("items") or ()]

    async def apply(
        self,
        manifest: Manifest,
        ref: ObjectRef,
        *,
        dry_run: bool = False,
        force: bool = True,
        manager: str = FIELD_MANAGER,
    ) -> dict[str, Any]:
        """Apply an object server-side.

        Args:
            force: Take the fields that others hold; without it they are a Conflict that names the holders.
            manager: The field manager: what it applied before and does not apply now goes.
        """
        path = await self._written_path(ref)
        query = {"fieldManager": manager, "force": str(force).lower(), **({"dryRun": "All"} if dry_run else {})}
        return await self._api.request("PATCH", path, query=query, body=_as_yaml(manifest), content_type=_APPLY)

    async def create(self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object, or only ask what would come of it.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses (an admission webhook's words are in detail).
        """
        path = (await self._written_path(ref)).rpartition("/")[0]
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return await self._api.request("POST", path, query=query, body=manifest)

    async def replace(self, manifest: Manifest, ref: ObjectRef) -> dict[str, Any]:
        """Replace an object; its resourceVersion guards against another writer.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses (Conflict where somebody else wrote).
        """
        path = await self._written_path(ref)
        return await self._api.request("PUT", path, query={"fieldManager": FIELD_MANAGER}, body=manifest)

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Merge a patch into an object (RFC 7386), or only ask what would come of it."""
        return await self._api.request(
            "PATCH",
            await self._written_path(ref),
            query={"fieldManager": manager, **({"dryRun": "All"} if dry_run else {})},
            body=patch,
            content_type="application/merge-patch+json",
        )

    async def delete(self, ref: ObjectRef, *, orphan: bool = False, version: str = "") -> bool:
        """Delete an object.

        Args:
            orphan: What it owns stays, and belongs to nobody; else it goes too.
            version: The resource version that it must have, else it is a Conflict; empty for any.

        Returns:
            False where it was not there.
        """
        path = await self.path_of(ref)
        if path is None:
            return False
        try:
            query = {"propagationPolicy": "Orphan" if orphan else "Background"}
            body = {"preconditions": {"resourceVersion": version}} if version else None
            await self._api.request("DELETE", path, query=query, body=body)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    async def log_tail(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        """Return the last lines a container wrote before it last ended; empty where there are none to be had."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        for previous in ("true", "false"):
            query = {"container": container, "tailLines": str(lines), "previous": previous}
            try:
                answer = await self._api.text(path, query)
            except RefusedError:
                continue
            if answer.strip():
                return answer.strip()
        return ""

    async def resource(self, api_version: str, kind: str) -> Resource | None:
        """Return how the server names a kind, or None where it does not serve it; BUILT_IN ones need no asking."""
        return BUILT_IN.get((api_version, kind)) or (await self._served(api_version)).get(kind)

    async def kinds(self) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """List every (apiVersion, kind) that can be listed inside a namespace, and the API versions that are silent.

        A kind that several versions of its group serve is named once, in the preferred version where that has it.
        Silent is a version that is listed and answers 503: an aggregated API whose server is down.
        """
        groups = (await self._api.request("GET", "/apis")).get("groups") or ()
        versions = ["v1", *(version for group in groups for version in _versions_of(group))]
        served = await asyncio.gather(*(self._served_or_silent(version) for version in versions))
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for kinds in served:
            for kind, resource in (kinds or {}).items():
                if resource.namespaced and resource.listable:
                    found.setdefault((resource.api_version.rpartition("/")[0], kind), (resource.api_version, kind))
        return tuple(found.values()), tuple(
            version for version, kinds in zip(versions, served, strict=True) if kinds is None
        )

    async def serves(self, api_version: str, resource: str) -> bool:
        """Tell whether the server has a resource, such as ``serviceaccounts/token``."""
        answer = await self._api.get(_root(api_version)) or {}
        return any(row.get("name") == resource for row in answer.get("resources") or ())

    async def may(self, verb: str, ref: ObjectRef | None = None) -> bool:
        """Ask whether the user may do something to an object, or everything to all; a kind not served yet counts so.

        Args:
            verb: ``create``, ``patch`` and the like, or ``*``.
        """
        attributes = {"verb": verb, "group": "*", "resource": "*"}
        if ref is not None:
            resource = await self.resource(ref.api_version, ref.kind)
            if resource is None:
                return True
            group = ref.api_version.rpartition("/")[0]
            attributes |= {"group": group, "resource": resource.plural, "namespace": ref.namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._api.request("POST", path, body=review)
        return bool((answer.get("status") or {}).get("allowed"))

    def forget(self, api_version: str) -> None:
        """Ask again next time which kinds an API version has: its CRDs are new."""
        self._kinds.pop(api_version, None)

    async def _written_path(self, ref: ObjectRef) -> str:
        """Return the path of an object that is to be written; what is not served cannot be."""
        path = await self.path_of(ref)
        if path is None:
            raise RefusedError(
                f"the API server does not serve {ref}",
                hint="Check its CRD.",
                status=HTTPStatus.NOT_FOUND,
                reason="NotFound",
            )
        return path

    async def _served(self, api_version: str) -> dict[str, Resource]:
        """Ask, once, which kinds an API version has."""
        if api_version not in self._kinds:
            self._kinds[api_version] = asyncio.ensure_future(self._discover(api_version))
        asked = self._kinds[api_version]
        try:
            return await asyncio.shield(asked)
        except ClusterError:
            if self._kinds.get(api_version) is asked:
                self.forget(api_version)  # what could not be learnt now can be asked again
            raise

    async def _served_or_silent(self, api_version: str) -> dict[str, Resource] | None:
        try:
            return await self._served(api_version)
        except RefusedError as exc:
            if exc.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return None
            raise

    async def _discover(self, api_version: str) -> dict[str, Resource]:
        answer = await self._api.get(_root(api_version))
        if answer is None:
            return {}
        return {
            str(row["kind"]): Resource(
                api_version, str(row["name"]), bool(row["namespaced"]), "list" in (row.get("verbs") or ())
            )
            for row in answer.get("resources") or ()
            if "/" not in row["name"]
        }


def _as_yaml(manifest: Manifest) -> bytes:
    """Write an object for a server that reads it as YAML.

    YAML does not take the two halves in which JSON escapes a character such as an emoji, and breaks lines at some that
    JSON does not escape.
    """
    text = json.dumps(manifest, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def collection(resource: Resource, namespace: str = "") -> str:
    """Return the path of a kind's collection, in a namespace or everywhere."""
    scope = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{_root(resource.api_version)}{scope}/{resource.plural}"


def _versions_of(group: Mapping[str, Any]) -> list[str]:
    """Return a group's versions, the preferred one first."""
    preferred = str(group["preferredVersion"]["groupVersion"])
    return list(dict.fromkeys([preferred, *(str(version["groupVersion"]) for version in group.get("versions") or ())]))


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
