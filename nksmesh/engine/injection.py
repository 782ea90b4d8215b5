"""Reading who is injected: namespaces, Istio's webhooks, the pods and their owners, and the pull secrets they name."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.namespaces import INJECTION_LABELS
from nksmesh.domain.checks.rule import found_by
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.injection.place import Place
from nksmesh.domain.injection.workloads import NamespaceInjection, judge_namespace, missing_pull_secrets
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.workloads import Listed, is_injected
from nksmesh.domain.mesh.revisions import injection_labels
from nksmesh.engine.checks import Reader
from nksmesh.engine.permissions import SOMETHING, where_allowed
from nksmesh.engine.ports import Cluster
from nksmesh.engine.workloads import list_workloads


@dataclass(frozen=True, kw_only=True)
class InjectionFacts:
    """What was read to judge who is injected.

    Attributes:
        namespaces: The namespaces' metadata, by name.
        webhooks: Istio's webhook configurations, as ``kind`` says.
        services: The (namespace, name) of the Services that those call, and that exist; None where that is not known.
        listed: The pods and what they are of.
    """

    namespaces: Mapping[str, Manifest]
    webhooks: Sequence[Manifest]
    services: frozenset[tuple[str, str]] | None
    listed: Listed

    def place(self, name: str) -> Place:
        """Return a namespace to judge pods in."""
        labels = self.namespaces[name]["metadata"].get("labels") or {}
        return Place(name=name, labels=labels, injectors=self.webhooks, services=self.services)

    def judge(self, place: Place) -> NamespaceInjection:
        """Judge a namespace's workloads by the labels that are given."""
        return judge_namespace(self.namespaces[place.name], place, self.listed.of(place.name))


async def read_injection(cluster: Cluster, names: Collection[str]) -> InjectionFacts:
    """Read what tells who is injected in some namespaces, or in all where none is named.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses; or the user may not read Istio's webhooks.
    """
    reader = Reader(cluster)
    namespaces, (webhooks, services), listed = await asyncio.gather(
        cluster.objects.list("v1", "Namespace", metadata_only=True),
        reader.webhooks(),
        list_workloads(cluster, namespaces=names or None),
    )
    if webhooks is None:
        raise ClusterError(
            f"{reader.unknown['webhooks']}: they decide which pods are injected",
            hint="Use a kubeconfig whose user may list MutatingWebhookConfigurations.",
        )
    return InjectionFacts(
        namespaces={str(namespace["metadata"]["name"]): namespace for namespace in namespaces},
        webhooks=webhooks,
        services=services,
        listed=listed,
    )


async def judge_injection(
    facts: InjectionFacts, names: Collection[str], cluster: Cluster
) -> tuple[NamespaceInjection, ...]:
    """Judge some namespaces, or those that have an injection label or an injected pod where none is named.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    wanted = list(dict.fromkeys(names)) or _concerned(facts)
    judged = [facts.judge(facts.place(name)) for name in wanted]
    missing = await _missing_secrets(facts.listed, wanted, cluster)
    about = _about_labels(facts, wanted)
    return tuple(
        missing_pull_secrets(replace(namespace, found=about.get(namespace.name, ())), missing[namespace.name])
        for namespace in judged
    )


def _concerned(facts: InjectionFacts) -> list[str]:
    with_pods = {str(pod["metadata"].get("namespace")) for pod in facts.listed.pods if is_injected(pod)}
    return [
        name
        for name, namespace in facts.namespaces.items()
        if name in with_pods or injection_labels(namespace["metadata"].get("labels") or {})
    ]


def _about_labels(facts: InjectionFacts, names: Collection[str]) -> Mapping[str, tuple[Finding, ...]]:
    """Find labels that have no effect as they are written, by the rule of ``nksmesh check``."""
    namespaces = [facts.namespaces[name] for name in names]
    seen = ClusterFacts(now=datetime.now(UTC), namespaces=namespaces, webhooks=facts.webhooks)
    found, _ = found_by(INJECTION_LABELS, seen)
    return {name: tuple(finding for finding in found if finding.subject == name) for name in names}


async def _missing_secrets(listed: Listed, names: Iterable[str], cluster: Cluster) -> dict[str, tuple[str, ...]]:
    """Name the pull secrets that injected pods name and that do not exist; one that may not be read counts as there."""
    wanted = {
        name: {
            str(secret.get("name"))
            for pod in listed.of(name).pods
            if is_injected(pod)
            for secret in (pod.get("spec") or {}).get("imagePullSecrets") or ()
        }
        for name in names
    }
    refs = [ObjectRef("v1", "Secret", secret, name) for name, secrets in wanted.items() for secret in sorted(secrets)]
    found = await where_allowed(cluster.objects.get_all(refs, metadata_only=True), dict.fromkeys(refs, SOMETHING))
    missing = [ref for ref in refs if found[ref] is None]
    return {name: tuple(ref.name for ref in missing if ref.namespace == name) for name in wanted}
