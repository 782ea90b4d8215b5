"""What an uninstall would do: which releases go, what goes with them, and what stays. Nothing is written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nksmesh.commands.uninstall.leftovers import find_leftovers
from nksmesh.commands.uninstall.namespace_contents import KEPT_BY_KUBERNETES, Contents, NamespaceReader, Survey
from nksmesh.commands.uninstall.orphan_webhooks import webhooks_left_by
from nksmesh.domain.charts.releases import GATEWAY, Release
from nksmesh.domain.common.data import HIDDEN, fields_of, named
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.readiness import addresses_of
from nksmesh.domain.kube.workloads import Workload, without_releases
from nksmesh.domain.plan.history import History, Outcome
from nksmesh.domain.plan.load_balancers import AddressFate, fate_of
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.hidden_releases import check_living
from nksmesh.engine.ports import Cluster
from nksmesh.engine.workloads import injected_workloads


@dataclass(frozen=True, kw_only=True)
class UninstallPlan:
    """What goes, and what stays.

    Attributes:
        installation: The mesh; of a single Istio revision, its release alone.
        purge: What the releases leave goes, too.
        keep_crds: The CRDs with all Istio objects stay all the same.
        istio_revision: The one Istio revision that goes, in words; empty where the whole mesh does.
        addresses: The LoadBalancers' addresses, by Service.
        fates: What becomes of the addresses, by Service.
        leftovers: What the releases leave: pull secrets, CRDs, the mesh's CA, certificates; each says whether it stays.
        labelled: The namespaces with Istio's labels; each says whether a purge leaves them.
        webhooks: Webhook configurations of no release that call what goes, and would refuse everything after it.
        workloads: What runs a sidecar; nothing restarts it.
        runs: How many runs the mesh's history has.
        unfinished: The run that has not ended, in words: it is at work, or was killed and may have left a Helm that is.
        namespaces: The mesh's namespaces, and what is in each that is not the mesh's; a purge alone looks.
        unserved: Aggregated APIs that do not answer: what they have was passed over.
    """

    more: ClassVar[tuple[str, str]] = ("uninstall would now remove", "removed")

    installation: Installation = field(metadata=HIDDEN)
    purge: bool
    keep_crds: bool = False
    istio_revision: str = ""
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fates: dict[str, AddressFate] = field(default_factory=dict, metadata=named("address_fates"))
    leftovers: tuple[Leftover, ...] = ()
    labelled: tuple[Labelled, ...] = field(default=(), metadata=named("labels"))
    webhooks: tuple[ObjectRef, ...] = ()
    workloads: tuple[Workload, ...] = ()
    runs: int = field(default=0, metadata=HIDDEN)
    unfinished: str = ""
    namespaces: dict[str, Contents] = field(default_factory=dict)
    unserved: tuple[str, ...] = ()

    @property
    def going(self) -> tuple[Leftover, ...]:
        """What the releases leave, and goes all the same."""
        return tuple(leftover for leftover in self.leftovers if leftover.made or (self.purge and not leftover.stays))

    @property
    def staying(self) -> tuple[Leftover, ...]:
        """What the releases leave, and stays."""
        return tuple(leftover for leftover in self.leftovers if leftover not in self.going)

    @property
    def losing_labels(self) -> tuple[Labelled, ...]:
        """The namespaces that lose Istio's labels."""
        return tuple(entry for entry in self.labelled if self.purge and not entry.stays)

    @property
    def keeping_labels(self) -> tuple[Labelled, ...]:
        """The namespaces that keep them."""
        return tuple(entry for entry in self.labelled if entry not in self.losing_labels)

    @property
    def going_namespaces(self) -> tuple[str, ...]:
        """The namespaces that go."""
        return tuple(name for name, contents in self.namespaces.items() if self.purge and contents.empty)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remove, and nobody is at work who may bring something."""
        going = (self.installation.releases, self.going, self.losing_labels, self.going_namespaces)
        return not any(going) and not (self.purge and self.runs) and not self.unfinished

    def beyond(self, shown: UninstallPlan) -> tuple[str, ...]:
        """Name what this plan removes and an earlier one did not say."""
        before = {leftover.ref: leftover.objects for leftover in shown.going if leftover.holds}
        labelled = {entry.namespace for entry in shown.losing_labels}
        releases, losing = self.installation.releases, self.losing_labels
        holding = [leftover for leftover in self.going if leftover.holds]
        return (
            *(f"release {release.name}" for release in releases if release not in shown.installation.releases),
            *(str(ref) for ref in self.webhooks if ref not in shown.webhooks),
            *(str(leftover) for leftover in holding if leftover.objects > before.get(leftover.ref, -1)),
            *(f"labels of namespace {entry.namespace}" for entry in losing if entry.namespace not in labelled),
            *(f"namespace {name}" for name in self.going_namespaces if name not in shown.going_namespaces),
        )

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the mesh in parts, and what a namespace holds in words."""
        return fields_of(self) | {
            "namespace": self.installation.namespace,
            "releases": [release.name for release in reversed(self.installation.releases)],
            "counts": self.counts,
            "namespaces": {name: contents.words for name, contents in self.namespaces.items()},
            "foreign": self.installation.foreign,
            "notes": self.installation.notes,
        }

    @property
    def counts(self) -> dict[str, int]:
        """How much of each kind is left when the releases are gone, before a purge."""
        kinds = [leftover.ref.kind for leftover in self.leftovers]
        return {
            "crds": kinds.count("CustomResourceDefinition"),
            "istio_objects": sum(leftover.objects for leftover in self.leftovers),
            "config_maps": kinds.count("ConfigMap"),
            "leases": kinds.count("Lease"),
            "labelled_namespaces": len(self.labelled),
            "workloads": len(self.workloads),
            "pods": sum(workload.pods for workload in self.workloads),
            "runs": self.runs,
        }


async def plan_uninstall(cluster: Cluster, namespace: str, *, purge: bool, keep_crds: bool = False) -> UninstallPlan:
    """Find what is installed, and what would be left behind; nothing is written.

    Args:
        namespace: The control plane's namespace; empty for istio-system's, or the only one there is.
        purge: What the releases leave goes, too.
        keep_crds: The CRDs with all Istio objects stay all the same.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
        ConfigError: A namespace's labels from before a canary cannot be read.
    """
    installation = await find_installation(cluster, namespace)
    refuse_failures(installation.findings)
    refuse_failures(await check_living(installation.gone, cluster))
    gateways = [release for release in installation.releases if release.component == GATEWAY.name]
    balanced, (leftovers, labelled), webhooks, workloads, histories = await asyncio.gather(
        asyncio.gather(*(_balanced(cluster, release) for release in gateways)),
        find_leftovers(cluster, installation, purge=purge, keep_crds=keep_crds),
        webhooks_left_by(installation, cluster),
        injected_workloads(cluster),
        cluster.histories.read_all(),
    )
    survey = await _survey(cluster, installation, leftovers) if purge else Survey(namespaces={})
    services = {name: live for some in balanced for name, live in some.items()}
    history = histories.get(installation.namespace)
    return UninstallPlan(
        installation=installation,
        purge=purge,
        keep_crds=keep_crds,
        addresses={name: addresses_of(live) for name, live in services.items()},
        fates={name: fate_of(live) for name, live in services.items()},
        leftovers=leftovers,
        labelled=labelled,
        webhooks=webhooks,
        workloads=without_releases(workloads, tuple(installation.releases)),
        runs=len(history.runs) if history else 0,
        unfinished=_unfinished(history),
        namespaces=dict(survey.namespaces),
        unserved=survey.unserved,
    )


def namespaces_of(installation: Installation) -> tuple[str, ...]:
    """Name the namespaces of a mesh's releases; none where nothing is installed."""
    if not installation.releases:
        return ()
    return tuple(dict.fromkeys((installation.namespace, *(release.namespace for release in installation.releases))))


def _unfinished(history: History | None) -> str:
    last = history.runs[-1] if history and history.runs else None
    return f"run {last.number} ({last.command})" if last is not None and last.outcome is Outcome.RUNNING else ""


async def _survey(cluster: Cluster, installation: Installation, leftovers: tuple[Leftover, ...]) -> Survey:
    """Look into the mesh's namespaces; without anything that is known to be a mesh's, none of them is."""
    if not installation.releases and all(leftover.stays for leftover in leftovers):
        return Survey(namespaces={})
    names = [
        name
        for name in dict.fromkeys((installation.namespace, *namespaces_of(installation)))
        if name not in KEPT_BY_KUBERNETES
    ]
    live = await cluster.objects.get_all((ObjectRef("v1", "Namespace", name) for name in names), metadata_only=True)
    existing = [ref.name for ref, found in live.items() if found is not None]
    return await NamespaceReader(cluster, installation, leftovers).survey(existing)


async def _balanced(cluster: Cluster, gateway: Release) -> dict[str, Manifest]:
    """Return a gateway's Service, where a load balancer gave it an address."""
    live = await cluster.objects.get(ObjectRef("v1", "Service", gateway.name, gateway.namespace))
    return {f"{gateway.namespace}/{gateway.name}": live} if live and addresses_of(live) else {}
