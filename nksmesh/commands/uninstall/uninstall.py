"""Uninstall: gateways, every istiod and base in one go, and on request what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.commands.canary.relabelling import forget_moves, moves_back, relabel
from nksmesh.commands.uninstall.namespace_contents import Contents, NamespaceReader
from nksmesh.commands.uninstall.plan import UninstallPlan, namespaces_of, plan_uninstall
from nksmesh.commands.uninstall.purge import Purge
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import COMPONENTS, ISTIOD, Release
from nksmesh.domain.common.errors import MeshError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.history import Run
from nksmesh.domain.uninstall.leftovers import in_words, labels_in_words, next_steps, sidecars_in_words
from nksmesh.engine.agreement import agreed
from nksmesh.engine.crd_retention import keep_crds
from nksmesh.engine.executor.deletion import await_end
from nksmesh.engine.executor.removal_proof import delete_all, look_after
from nksmesh.engine.ports import Cluster, Helm
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runs.recording import begun_on, moves_of, versions_of
from nksmesh.engine.runtime import Runtime

__all__ = ["UninstallPlan", "UninstallResult", "plan_uninstall", "uninstall"]

UNINSTALL_STEP: Final = "uninstall"
HISTORY: Final = "the history of the mesh's runs"


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

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What takes the sidecars away whose istiod went."""
        return next_steps(self.plan.workloads) if self.removed else ()

    def to_data(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {
            **self.plan.to_data(),
            "agreed": self.agreed,
            "removed": list(self.removed),
            "left": list(self.left),
            "next_steps": list(self.next_steps),
        }


async def uninstall(shown: UninstallPlan, runtime: Runtime) -> UninstallResult:
    """Remove what a plan names: gateways at once, then the istiods, then base; without a pause before the last.

    Without istiod, base's validating webhook refuses every Istio object (istio-facts 5).

    Args:
        timeout: Seconds for one release, and for the CRDs and namespaces to end.

    Raises:
        MeshError: Something could not be removed; what was removed is noted on it.
        ClusterError: There is more now than the plan named, or Helm reaches another cluster; nothing was removed.
    """
    removed: list[str] = []
    staying: list[str] = []

    def again() -> Awaitable[UninstallPlan]:
        where = shown.installation.namespace
        return plan_uninstall(runtime.cluster, where, purge=shown.purge, keep_crds=shown.keep_crds)

    async with agreed(shown, again, runtime, command="uninstall", step=UNINSTALL_STEP) as plan:
        if plan.installation.releases:
            await runtime.helm.prove_same_cluster(await runtime.cluster.uid())
        kept = plan.namespaces
        async with recorded_run(runtime.cluster, await run_of(plan, "uninstall", runtime.cluster)):
            try:
                if plan.installation.record is not None:
                    await runtime.cluster.records.write(begun_on(plan.installation.record, plan.installation.releases))
                removal = Removal(runtime.cluster, runtime.helm, runtime.waits.component, runtime.listener, removed)
                await _remove_releases(plan, removal)
                staying += removal.staying
                if plan.purge:
                    emptiness = NamespaceReader(runtime.cluster, plan.installation, plan.leftovers)
                    purge = Purge(
                        runtime.cluster, emptiness, runtime.waits.component, runtime.listener, removed, staying
                    )
                    await purge.remove_leftovers(plan.going)
                    await purge.remove_labels(plan.losing_labels)
                    kept = await purge.remove_namespaces(plan.namespaces)
                await runtime.cluster.records.delete(plan.installation.namespace)
            except MeshError as exc:
                exc.add_note(f"removed before that: {', '.join(removed) or 'nothing'}")
                raise
        if plan.purge:  # the last: until here the history has this run, too
            await runtime.cluster.histories.delete(plan.installation.namespace)
            removed += [HISTORY] if plan.runs else []
    return UninstallResult(plan=plan, removed=tuple(removed), left=(*staying, *left_of(plan, kept)))


@dataclass(frozen=True)
class Removal:
    """Removes releases, and what would be in the way without them; ``removed`` takes in what was found gone."""

    cluster: Cluster
    helm: Helm
    timeout: float
    listener: Listener
    removed: list[str]
    staying: list[str] = field(default_factory=list)
    ending: dict[Release, tuple[ObjectRef, ...]] = field(default_factory=dict)

    async def of_release(self, release: Release, stored: InstalledRelease) -> None:
        """Have Helm remove a release, and look for what is left of it; what is being deleted is awaited later.

        Raises:
            ReleaseError: Helm failed, or something of the release is still there.
            ClusterError: The cluster cannot be reached, or refuses.
        """
        self.listener(Event(step=release.name, kind=EventKind.STARTED, message="remove"))
        await self.helm.uninstall(release, timeout=self.timeout)
        found = await look_after(release, stored, self.cluster, self.helm)
        self.staying.extend(found.staying)
        if found.ending:
            self.ending[release] = found.ending
        else:
            self._say_removed(release)

    async def end(self) -> None:
        """Wait until what is being deleted is gone: a LoadBalancer's Service is there until the cloud let it go.

        Raises:
            NotReadyError: Something is still there when the time is over.
            ClusterError: The cluster cannot be reached, or refuses.
        """

        async def of_one(release: Release, refs: tuple[ObjectRef, ...]) -> None:
            await await_end(refs, self.cluster, step=release.name, timeout=self.timeout, listener=self.listener)
            self._say_removed(release)

        await _all_ended(of_one(release, refs) for release, refs in self.ending.items())

    def _say_removed(self, release: Release) -> None:
        self.removed.append(f"release {release.name}")
        self.listener(Event(step=release.name, kind=EventKind.DONE, message="removed"))

    async def of_webhooks(self, plan: UninstallPlan) -> None:
        """Remove the webhooks of no release, before what they call goes: after it they would refuse everything.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        if plan.webhooks:
            await delete_all(
                plan.webhooks, self.cluster, step=UNINSTALL_STEP, timeout=self.timeout, listener=self.listener
            )
        for ref in plan.webhooks:
            self.removed.append(str(ref))
            self.listener(Event(step=str(ref), kind=EventKind.DONE, message="removed"))


async def run_of(plan: UninstallPlan, command: str, cluster: Cluster) -> Run:
    """Describe the run that is to follow a plan, for the history.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    releases = plan.installation.releases
    return Run(
        command=command,
        namespace=plan.installation.namespace,
        from_versions=versions_of(releases.values()),
        releases=await moves_of(releases, cluster),
        before=plan.installation.record,
    )


def left_of(plan: UninstallPlan, namespaces: dict[str, Contents]) -> tuple[str, ...]:
    """Say what is left when a plan is done.

    Args:
        namespaces: The namespaces that a purge left, and why.
    """
    left = (*in_words(plan.staying), *labels_in_words(plan.keeping_labels), *sidecars_in_words(plan.workloads))
    if plan.purge:
        return (*left, *(f"namespace {name}: {', '.join(one.words)}" for name, one in namespaces.items() if one.words))
    if plan.istio_revision:
        return left
    history = (HISTORY,) if plan.runs else ()
    return (*left, *history, *(f"namespace {name}" for name in namespaces_of(plan.installation)))


async def _remove_releases(plan: UninstallPlan, removal: Removal) -> None:
    cluster, releases = removal.cluster, plan.installation.releases
    await asyncio.gather(*(keep_crds(one, cluster, removal.helm) for one in releases.values()))
    for component in reversed(COMPONENTS.values()):
        if component is ISTIOD:
            await _end_moves(plan, removal)
            await removal.of_webhooks(plan)
        going = {release: stored for release, stored in releases.items() if release.component == component.name}
        await _all_ended(removal.of_release(release, stored) for release, stored in going.items())
    await removal.end()


async def _end_moves(plan: UninstallPlan, removal: Removal) -> None:
    """Give the namespaces that were moved to a canary the labels they had: a later mesh has no such revision."""
    if plan.installation.record is None or plan.installation.record.canary is None:
        return
    moves = await moves_back(removal.cluster)
    await relabel(moves, removal.cluster, back=True, listener=removal.listener)
    await forget_moves(moves, removal.cluster)


async def _all_ended(removals: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run removals side by side; the first failure is raised when all have ended, for Helm is not stopped half way."""
    ended = await asyncio.gather(*removals, return_exceptions=True)
    for failure in ended:
        if failure is not None:
            raise failure
