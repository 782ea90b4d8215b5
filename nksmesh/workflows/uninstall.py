"""Uninstall: gateways, istiod and base in one go, and on request what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.errors import ClusterError, MeshError
from nksmesh.domain.events import Event, EventKind, Listener
from nksmesh.domain.objects import ObjectRef
from nksmesh.domain.readiness import addresses_of
from nksmesh.domain.releases import BASE, GATEWAY, ISTIOD, Release
from nksmesh.workflows.discovery import Installation, find_installation
from nksmesh.workflows.emptiness import KEPT_BY_KUBERNETES, Contents, Emptiness, Survey
from nksmesh.workflows.keeping import keep_crds
from nksmesh.workflows.leftovers import Leftover, find_leftovers
from nksmesh.workflows.ports import Cluster, Helm, Processes
from nksmesh.workflows.purge import Purge
from nksmesh.workflows.settling import let_helm_end

UNINSTALL_STEP: Final = "uninstall"


@dataclass(frozen=True, kw_only=True)
class UninstallPlan:
    """What goes, and what stays.

    Attributes:
        installation: The mesh.
        purge: What the releases leave goes, too.
        addresses: The LoadBalancers' addresses that are given back, by Service.
        leftovers: What the releases leave: CRDs, the mesh's CA, certificates; each says whether a purge leaves it.
        namespaces: The mesh's namespaces, and what is in each that is not the mesh's; a purge alone looks.
        unserved: Aggregated APIs that do not answer: what they have was passed over.
    """

    installation: Installation
    purge: bool
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()
    namespaces: dict[str, Contents] = field(default_factory=dict)
    unserved: tuple[str, ...] = ()

    @property
    def going(self) -> tuple[Leftover, ...]:
        """What the releases leave, and goes all the same."""
        return tuple(one for one in self.leftovers if self.purge and not one.stays)

    @property
    def staying(self) -> tuple[Leftover, ...]:
        """What the releases leave, and stays."""
        return tuple(one for one in self.leftovers if one not in self.going)

    @property
    def going_namespaces(self) -> tuple[str, ...]:
        """The namespaces that go."""
        return tuple(name for name, contents in self.namespaces.items() if self.purge and contents.empty)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.installation.releases or self.going or self.going_namespaces)

    def beyond(self, shown: UninstallPlan) -> tuple[str, ...]:
        """Name what this plan removes and an earlier one did not say."""
        before = {one.ref: one.objects for one in shown.going if one.holds}
        return (
            *(f"release {one.name}" for one in self.installation.releases if one not in shown.installation.releases),
            *(str(one) for one in self.going if one.holds and one.objects > before.get(one.ref, -1)),
            *(f"namespace {name}" for name in self.going_namespaces if name not in shown.going_namespaces),
        )

    def to_data(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return {
            "namespace": self.installation.namespace,
            "purge": self.purge,
            "releases": [release.name for release in reversed(self.installation.releases)],
            "addresses": {name: list(found) for name, found in self.addresses.items()},
            "leftovers": [{"object": str(one.ref), "holds": one.holds, "stays": one.stays} for one in self.leftovers],
            "namespaces": {name: list(contents.words) for name, contents in self.namespaces.items()},
            "unserved": list(self.unserved),
            "notes": list(self.installation.notes),
        }


@dataclass(frozen=True, kw_only=True)
class UninstallResult:
    """What went, and what is left.

    Attributes:
        plan: The plan that was followed.
        removed: What went, in order.
        left: What is left.
        agreed: Whether the user agreed to it; nothing was done where not.
    """

    plan: UninstallPlan
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    agreed: bool = True

    @classmethod
    def of_nothing(cls, plan: UninstallPlan, *, agreed: bool = True) -> UninstallResult:
        """Make the result of doing nothing: there is nothing to do, or it was not agreed to."""
        return cls(plan=plan, left=left_of(plan, plan.namespaces) if agreed else (), agreed=agreed)

    def to_data(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {
            **self.plan.to_data(),
            "agreed": self.agreed,
            "removed": list(self.removed),
            "left": list(self.left),
        }


async def plan_uninstall(cluster: Cluster, namespace: str, *, purge: bool) -> UninstallPlan:
    """Find what is installed, and what would be left behind; nothing is written.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    installation = await find_installation(cluster, namespace)
    gateways = [release for release in installation.releases if release.component == GATEWAY.name]
    balanced, leftovers = await asyncio.gather(
        asyncio.gather(*(_addresses(cluster, release.namespace) for release in gateways)),
        find_leftovers(cluster, installation, purge=purge),
    )
    survey = await _survey(cluster, installation, leftovers) if purge else Survey(namespaces={})
    names = {release.name for release in gateways}
    return UninstallPlan(
        installation=installation,
        purge=purge,
        addresses={name: found for some in balanced for name, found in some.items() if name.split("/")[1] in names},
        leftovers=leftovers,
        namespaces=dict(survey.namespaces),
        unserved=survey.unserved,
    )


async def uninstall(
    shown: UninstallPlan, cluster: Cluster, helm: Helm, processes: Processes, *, timeout: float, listener: Listener
) -> UninstallResult:
    """Remove what a plan names: gateways at once, then istiod, then base; without a pause between the last two.

    Without istiod, base's validating webhook refuses every Istio object (istio-facts 5).

    Args:
        shown: The plan, shown and agreed to.
        cluster: The cluster.
        helm: Helm.
        processes: Processes of this machine.
        timeout: Seconds for one release, and for the CRDs and namespaces to end.
        listener: Told of every step.

    Raises:
        MeshError: Something could not be removed; what was removed is noted on it.
        ClusterError: There is more now than the plan named, or Helm reaches another cluster; nothing was removed.
    """
    removed: list[str] = []

    async def remove(release: Release) -> None:
        listener(Event(step=release.name, kind=EventKind.STARTED, message="remove"))
        await helm.uninstall(release, timeout=timeout)
        removed.append(f"release {release.name}")
        listener(Event(step=release.name, kind=EventKind.DONE, message="removed"))

    async with cluster.lease.held("uninstall") as dead:
        if dead is not None:
            await let_helm_end(dead, processes, step=UNINSTALL_STEP, listener=listener)
        plan = await plan_uninstall(cluster, shown.installation.namespace, purge=shown.purge)
        _check_agreed(plan, shown)
        if plan.installation.releases:
            await helm.prove_same_cluster(await cluster.uid())
        purge = Purge(cluster, Emptiness(cluster, plan.installation, plan.leftovers), timeout, listener, removed)
        kept = plan.namespaces
        try:
            await asyncio.gather(*(keep_crds(one, cluster, helm) for one in plan.installation.releases.values()))
            for component in (GATEWAY, ISTIOD, BASE):
                going = [one for one in plan.installation.releases if one.component == component.name]
                await _all_ended(remove(release) for release in going)
            if plan.purge:
                await purge.remove_leftovers(plan.going)
                kept = await purge.remove_namespaces(plan.namespaces)
            await cluster.records.delete(plan.installation.namespace)
        except MeshError as exc:
            exc.add_note(f"removed before that: {', '.join(removed) or 'nothing'}")
            raise
    return UninstallResult(plan=plan, removed=tuple(removed), left=left_of(plan, kept))


def left_of(plan: UninstallPlan, namespaces: dict[str, Contents]) -> tuple[str, ...]:
    """Say what is left when a plan is done.

    Args:
        plan: The plan.
        namespaces: The namespaces that a purge left, and why.
    """
    left = tuple(map(str, plan.staying))
    if plan.purge:
        return (*left, *(f"namespace {name}: {', '.join(one.words)}" for name, one in namespaces.items() if one.words))
    return (*left, *(f"namespace {name}" for name in _namespaces_of(plan.installation)))


async def _survey(cluster: Cluster, installation: Installation, leftovers: tuple[Leftover, ...]) -> Survey:
    """Look into the mesh's namespaces; without anything that is known to be a mesh's, none of them is."""
    if not installation.releases and all(one.stays for one in leftovers):
        return Survey(namespaces={})
    names = [
        name
        for name in dict.fromkeys((installation.namespace, *_namespaces_of(installation)))
        if name not in KEPT_BY_KUBERNETES
    ]
    live = await cluster.objects.get_all((ObjectRef("v1", "Namespace", name) for name in names), metadata_only=True)
    existing = [ref.name for ref, found in live.items() if found is not None]
    return await Emptiness(cluster, installation, leftovers).survey(existing)


def _namespaces_of(installation: Installation) -> tuple[str, ...]:
    if not installation.releases:
        return ()
    return tuple(dict.fromkeys((installation.namespace, *(release.namespace for release in installation.releases))))


async def _all_ended(removals: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run removals side by side; the first failure is raised when all have ended, for Helm is not stopped half way."""
    ended = await asyncio.gather(*removals, return_exceptions=True)
    for failure in ended:
        if failure is not None:
            raise failure


def _check_agreed(plan: UninstallPlan, shown: UninstallPlan) -> None:
    """Check that nothing goes that was not shown before it was agreed to."""
    more = plan.beyond(shown)
    if more:
        raise ClusterError(
            f"there is more to remove now than was shown: {', '.join(more)}; nothing was removed",
            hint="Run the same command again: it shows all that goes.",
        )


async def _addresses(cluster: Cluster, namespace: str) -> dict[str, tuple[str, ...]]:
    services = await cluster.objects.list("v1", "Service", namespace)
    return {f"{namespace}/{one['metadata']['name']}": found for one in services if (found := addresses_of(one))}
