"""Reading what the rules of ``nksmesh check`` look at; a run that writes reads no more than it is held to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

from nksmesh.domain.checks import cluster as about_cluster
from nksmesh.domain.checks import network as about_network
from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.rule import found_by
from nksmesh.domain.common.errors import ConfigError, RefusedError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.kube.objects import Manifest, ObjectRef, called_services, ref_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster, Helm, Objects

T = TypeVar("T")

_SYSTEM: Final = "kube-system"
_MOST_NODES: Final = 1000
_CILIUM: Final = ObjectRef("v1", "ConfigMap", "cilium-config", _SYSTEM)
_FELIX: Final = ObjectRef("crd.projectcalico.org/v1", "FelixConfiguration", "default")
_GATEWAY_API: Final = ObjectRef(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.gateway.networking.k8s.io"
)
_WEBHOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_VERBS: Final = ("get", "create", "patch")
_NAMESPACE_VERBS: Final = ("create", "patch")
"""A namespace is applied, which takes both; one that is there is left as it is."""

_HELD_TO: Final = tuple(rule for rule in (*about_cluster.RULES, *about_network.RULES) if rule.on_install)
_KEPT: Final = (ObjectRef("v1", "Secret", "", _SYSTEM), ObjectRef("coordination.k8s.io/v1", "Lease", "", _SYSTEM))
"""What nksmesh keeps its records in, and what it holds a mesh with."""


class Reader:
    """Reads facts about a cluster, and notes those that the user may not read.

    Attributes:
        unknown: For each fact that could not be had, why, in words.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._objects: Objects = cluster.objects
        self.unknown: dict[str, str] = {}

    async def nodes(self) -> Sequence[Manifest] | None:
        """List the nodes."""
        return await self._allowed("nodes", "list nodes", self._objects.list("v1", "Node", most=_MOST_NODES))

    async def daemon_sets(self, namespace: str = _SYSTEM) -> Sequence[Manifest] | None:
        """List the DaemonSets of a namespace: kube-system has the CNI's."""
        listed = self._objects.list("apps/v1", "DaemonSet", namespace)
        return await self._allowed("daemon_sets", f"list DaemonSets in {namespace}", listed)

    async def cilium(self) -> Mapping[str, Any] | None:
        """Read Cilium's settings; empty without Cilium."""
        found = await self._allowed("cilium", f"read {_CILIUM}", self._read(_CILIUM))
        return None if found is None else found.get("data") or {}

    async def felix(self) -> Mapping[str, Any] | None:
        """Read Calico's settings; empty without them."""
        found = await self._allowed("felix", f"read {_FELIX}", self._read(_FELIX))
        return None if found is None else found.get("spec") or {}

    async def namespaces(self) -> Sequence[Manifest] | None:
        """List the namespaces' metadata."""
        listed = self._objects.list("v1", "Namespace", metadata_only=True)
        return await self._allowed("namespaces", "list namespaces", listed)

    async def webhooks(self) -> tuple[Sequence[Manifest] | None, frozenset[tuple[str, str]] | None]:
        """List Istio's webhook configurations, and those of the Services that they call which exist."""
        listing = (self._listed(kind) for kind in _WEBHOOKS)
        listed = await self._allowed("webhooks", "list webhook configurations", asyncio.gather(*listing))
        if listed is None:
            return None, None
        webhooks = [webhook for some in listed for webhook in some]
        called = {service for webhook in webhooks for service in called_services(webhook)}
        refs = {ObjectRef("v1", "Service", name, namespace) for namespace, name in called if name}
        found = await self._allowed("services", "read Services", self._objects.get_all(refs, metadata_only=True))
        there = None if found is None else frozenset((ref.namespace, ref.name) for ref, live in found.items() if live)
        return webhooks, there

    async def gateway_api(self) -> bool | None:
        """Tell whether the CRDs of the Gateway API are there."""
        found = await self._allowed("gateway_api", "read CRDs", self._read(_GATEWAY_API, metadata_only=True))
        return None if found is None else bool(found)

    async def token_request(self) -> bool | None:
        """Tell whether the API server issues tokens for service accounts."""
        return await self._allowed("token_request", "read /api/v1", self._objects.serves("v1", "serviceaccounts/token"))

    async def denied(self, changes: Mapping[str, ReleaseChange]) -> tuple[str, ...] | None:
        """Name what the user may not do of what the install of some releases does, in words; all asked together.

        A cluster administrator is asked about once.
        """
        return await self._allowed("denied", "ask for its rights", self._denied(changes))

    async def _denied(self, changes: Mapping[str, ReleaseChange]) -> tuple[str, ...]:
        if await self._objects.may("*"):
            return ()
        wanted = {ObjectRef("v1", "Namespace", change.release.namespace) for change in changes.values()}
        namespaces = await where_allowed(self._objects.get_all(wanted, metadata_only=True), None)
        asked = dict.fromkeys((verb, ref) for ref in _kinds_of(changes) for verb in _VERBS)
        if namespaces and None in namespaces.values():
            asked |= dict.fromkeys((verb, ObjectRef("v1", "Namespace", "")) for verb in _NAMESPACE_VERBS)
        answers = await asyncio.gather(*(self._objects.may(verb, ref) for verb, ref in asked))
        refused: dict[ObjectRef, list[str]] = {}
        for (verb, ref), allowed in zip(asked, answers, strict=True):
            if not allowed:
                refused.setdefault(ref, []).append(verb)
        return tuple(
            f"{' or '.join(verbs)} {ref.kind}s" + (f" in {ref.namespace}" if ref.namespace else "")
            for ref, verbs in refused.items()
        )

    async def _listed(self, kind: str) -> list[dict[str, Any]]:
        listed = await self._objects.list("admissionregistration.k8s.io/v1", kind, labels="istio.io/rev")
        return [{**webhook, "kind": kind} for webhook in listed]

    async def _read(self, ref: ObjectRef, *, metadata_only: bool = False) -> Mapping[str, Any]:
        return await self._objects.get(ref, metadata_only=metadata_only) or {}

    async def _allowed(self, fact: str, doing: str, reading: Awaitable[T]) -> T | None:
        try:
            return await reading
        except RefusedError as exc:
            denied = exc.status == HTTPStatus.FORBIDDEN
            self.unknown[fact] = f"the kubeconfig's user may not {doing} ({exc.reason})" if denied else exc.message
            return None


async def read_facts(reader: Reader, cluster: Cluster, helm: Helm) -> ClusterFacts:
    """Read all that does not depend on a mesh, at once.

    Raises:
        ClusterError: The cluster cannot be reached.
        ConfigError: There is no Helm.
    """
    asked = asyncio.gather(reader.nodes(), reader.daemon_sets(), reader.namespaces())
    settings = asyncio.gather(reader.cilium(), reader.felix())
    api = asyncio.gather(reader.gateway_api(), reader.token_request())
    version, (nodes, daemon_sets, namespaces), (cilium, felix), (gateway_api, tokens), webhooks = await asyncio.gather(
        helm.version(), asked, settings, api, reader.webhooks()
    )
    return ClusterFacts(
        now=datetime.now(UTC),
        helm=version,
        credential_ends=cluster.credential_ends(),
        nodes=nodes,
        daemon_sets=daemon_sets,
        cilium=cilium,
        felix=felix,
        namespaces=namespaces,
        webhooks=webhooks[0],
        services=webhooks[1],
        gateway_api=gateway_api,
        token_request=tokens,
    )


async def check_before_writing(
    changes: Mapping[str, ReleaseChange], mesh: Mesh, cluster: Cluster, *, skipped: Collection[str]
) -> tuple[Finding, ...]:
    """Judge a cluster by the rules that whatever writes a mesh is held to.

    Args:
        skipped: The ids of rules that the user has left out.

    Returns:
        What the rules find; of what could not be read, or has an odd form, nothing is said.

    Raises:
        ConfigError: The id of one that is left out is none of these rules'.
        ClusterError: The cluster cannot be reached.
    """
    known = [rule.id for rule in _HELD_TO]
    for name in skipped:
        if name not in known:
            raise ConfigError(
                f"--skip-check {name}: there is no such check before an install", hint=perhaps(name, known, "checks")
            )
    reader = Reader(cluster)
    nodes, daemon_sets, cilium, felix, denied = await asyncio.gather(
        reader.nodes(), reader.daemon_sets(), reader.cilium(), reader.felix(), reader.denied(changes)
    )
    facts = ClusterFacts(
        now=datetime.now(UTC),
        nodes=nodes,
        daemon_sets=daemon_sets,
        cilium=cilium,
        felix=felix,
        denied=denied,
        mesh=mesh,
        changes=changes,
    )
    return tuple(
        replace(finding, hint=f"{finding.hint} Or pass --skip-check {rule.id} to continue.")
        for rule in _HELD_TO
        if rule.id not in skipped and all(getattr(facts, name) is not None for name in rule.needs)
        for finding in found_by(rule, facts)[0]
    )


def _kinds_of(changes: Mapping[str, ReleaseChange]) -> Iterable[ObjectRef]:
    """Name each kind of object that an install writes, once for a namespace, Namespaces left out."""
    for change in changes.values():
        yield ObjectRef("v1", "Secret", "", change.release.namespace)
        for manifest in change.manifests:
            ref = ref_of(manifest, change.release.namespace)
            yield ObjectRef(ref.api_version, ref.kind, "", ref.namespace)
    yield from _KEPT
    yield ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "")
