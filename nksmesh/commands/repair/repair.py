"""Repair: what differs from the releases' manifests is put back, object by object, and proved."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nksmesh.commands.drift.drift import Found, Survey, survey_drift
from nksmesh.commands.repair.steps import REPAIR_STEP, follow_proofs, proved, repair_steps, stale_gateways
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.data import MERGED, named
from nksmesh.domain.common.errors import ClusterError, ConfigError, MeshError, ReleaseError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.drift.drift import ObjectDrift, is_named
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.record import hash_of
from nksmesh.domain.plan.history import Run
from nksmesh.engine.agreement import agreed
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.ports import Cluster
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runs.recording import run_on
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class RepairPlan:
    """What a repair would put back.

    Attributes:
        survey: What the look at it found, without what was not asked for.
        others: How many other objects differ.
    """

    more: ClassVar[tuple[str, str]] = ("repair would now restore", "restored")

    installation: Installation
    survey: Survey
    others: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.found

    @property
    def found(self) -> tuple[Found, ...]:
        """What is put back."""
        return self.survey.found

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What could not be looked at."""
        return self.survey.errors

    def beyond(self, shown: RepairPlan) -> tuple[str, ...]:
        """Name the objects that differ now and did not, or otherwise."""
        said = {(found.drift.ref, found.drift.change, found.drift.fields) for found in shown.found}
        drifts = (found.drift for found in self.found)
        return tuple(str(drift.ref) for drift in drifts if (drift.ref, drift.change, drift.fields) not in said)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the mesh and the survey in parts."""
        return {
            "namespace": self.installation.namespace,
            "foreign": self.installation.foreign,
            "gone": self.installation.gone,
            "drift": [found.drift for found in self.found],
            "others": self.others,
            "not_looked_at": self.survey.unseen,
            "notes": self.survey.notes,
        }


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What a repair did.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        proved: What was proved of each release that got new pods, in words.
        said: What a reader should know though nothing failed.
    """

    plan: RepairPlan = field(metadata=MERGED)
    agreed: bool = True
    repaired: tuple[ObjectRef, ...] = ()
    proved: tuple[str, ...] = ()
    said: tuple[str, ...] = field(default=(), metadata=named("warnings"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know though nothing failed."""
        return self.said

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What could not be looked at."""
        return self.plan.errors


async def plan_repair(runtime: Runtime, namespace: str, *, lock: Lock, objects: Sequence[str]) -> RepairPlan:
    """Look for what differs, and choose what is put back.

    Args:
        namespace: The control plane's namespace; empty for the mesh there is.
        objects: ``Kind/name`` or ``Kind/namespace/name`` of what is put back; none for all of it.

    Raises:
        ConfigError: An object is named that does not differ.
        ReleaseError: Helm has begun something and not ended it, or failed.
        ClusterError: Something cannot be put back in its place, or the cluster cannot be reached.
    """
    installation = await find_installation(runtime.cluster, namespace)
    refuse_failures(installation.findings)
    refuse_failures(_check_deployed(installation))
    survey = await survey_drift(installation, runtime, lock)
    for text in objects:
        if not any(is_named(found.drift.ref, text) for found in survey.found):
            there = ", ".join(_named(found.drift.ref) for found in survey.found) or "nothing does"
            raise ConfigError(
                f"no object that differs is named {text}", hint=f"What differs: {there}. Run nksmesh drift to see it."
            )
    named = tuple(found for found in survey.found if any(is_named(found.drift.ref, text) for text in objects))
    chosen = named if objects else survey.found
    refuse_failures(_check_restorable(found.drift for found in chosen))
    return RepairPlan(
        installation=installation, survey=replace(survey, found=chosen), others=len(survey.found) - len(chosen)
    )


async def repair(shown: RepairPlan, runtime: Runtime, *, lock: Lock, objects: Sequence[str]) -> RepairResult:
    """Put back what was shown and agreed to, prove that it is back, and that the pods it made anew are ready.

    Raises:
        ClusterError: The mesh is not as it was when it was shown, or what was put back differs again.
        NotReadyError: What was put back does not become ready.
        HeldError: Another run holds the mesh.
    """

    def again() -> Awaitable[RepairPlan]:
        return plan_repair(runtime, shown.installation.namespace, lock=lock, objects=objects)

    async with agreed(shown, again, runtime, command="repair", step=REPAIR_STEP) as plan:
        if not plan.found:
            return RepairResult(plan=plan)
        async with recorded_run(runtime.cluster, await _run_of(plan.installation, runtime.cluster)):
            stored = plan.installation.releases.items()
            releases = {release: runtime.helm.parse(installed.manifest) for release, installed in stored}
            await follow_proofs(plan.found, releases, plan.installation.namespace, runtime.cluster)
            steps = repair_steps(plan.found, releases)
            progress = await Executor(steps, runtime, releases=releases.items(), account=False).run()
            said = stale_gateways(releases, runtime.cluster.live)
            refs = tuple(found.drift.ref for found in plan.found)
            await _prove_gone(plan, refs, runtime, lock)
    return RepairResult(plan=plan, repaired=refs, proved=proved(progress), said=said)


async def _prove_gone(plan: RepairPlan, refs: Collection[ObjectRef], runtime: Runtime, lock: Lock) -> None:
    left = await survey_drift(plan.installation, runtime, lock, only=refs)
    if left.found:
        ref = left.found[0].drift.ref
        where = f" -n {ref.namespace}" if ref.namespace else ""
        raise ClusterError(
            f"{ref} differs again: something else keeps changing it",
            hint=f"To see what changes it, run kubectl get {ref.kind.lower()} {ref.name}{where} "
            "-o yaml --show-managed-fields",
            detail="\n".join(f"{found.drift.ref}: {', '.join(found.drift.fields)}" for found in left.found),
        )


async def _run_of(installation: Installation, cluster: Cluster) -> Run:
    istiod = (
        stored.chart_version for release, stored in installation.releases.items() if release.component == ISTIOD.name
    )
    record = installation.record
    to_version = record.settings.version if record else next(istiod, "")
    run = await run_on(installation, "repair", cluster, to_version=to_version)
    return replace(
        run, values_hash=hash_of({release.name: stored.values for release, stored in installation.releases.items()})
    )


def _check_deployed(installation: Installation) -> tuple[Finding, ...]:
    """Find releases that Helm has begun to write and not ended, or failed to: a failure each."""
    return tuple(
        Finding(
            id="helm.unfinished-release",
            subject=release.name,
            message=f"release {release.name} is {installed.status}: its objects cannot be determined",
            hint="Run nksmesh install to finish, or nksmesh rollback to undo. Then run nksmesh repair.",
            error=ReleaseError,
        )
        for release, installed in installation.releases.items()
        if not installed.deployed
    )


def _check_restorable(drifts: Iterable[ObjectDrift]) -> tuple[Finding, ...]:
    """Find objects that the API server does not let be as their release says: a failure each."""
    return tuple(
        Finding(
            id="kube.refused-restore",
            subject=str(drift.ref),
            message=f"{drift.ref} cannot be restored in place: the API server refuses what its release defines",
            hint=f"Delete the object. Then run nksmesh repair {_named(drift.ref)} to recreate it.",
            detail=f"{drift.ref}: {drift.refusal}",
            error=ClusterError,
        )
        for drift in drifts
        if drift.refusal
    )


def _named(ref: ObjectRef) -> str:
    return "/".join(filter(None, (ref.kind, ref.namespace, ref.name)))
