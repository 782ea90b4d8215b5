"""The NKS guide from first step to last: where it may be walked, what came of each step, and what takes it back.

The steps are command lines of nksmesh's own (``nksmesh.domain.guide.walk``), and run as such. What a walk made is known
by a run in the mesh's history that is called after it: a purge takes the history, and with it that run, at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from nksmesh.commands.uninstall.uninstall import UninstallPlan, plan_uninstall
from nksmesh.domain.common.data import HIDDEN, MERGED, data_of, fields_of
from nksmesh.domain.common.errors import CheckError, MeshError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.guide.rules import check_fresh, check_made, check_unused
from nksmesh.domain.guide.walk import SAMPLE, SERVICE, Choices, GuideStep, Made, walk_of, way_back
from nksmesh.domain.kube.objects import ObjectRef, helm_marks, ref_of
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.mesh.revisions import injection_labels
from nksmesh.domain.plan.history import Run
from nksmesh.domain.samples.sample import SAMPLES
from nksmesh.engine.agreement import agreed
from nksmesh.engine.crds import istio_crds, objects_of_crd
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.ports import Cluster
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.samples import applied_objects
from nksmesh.engine.traffic import read_surroundings

GUIDE: Final = "guide"
"""What the history calls the run that begins a walk."""


@dataclass(frozen=True, kw_only=True)
class GuidePlan:
    """What a walk would do, or what would take it back.

    Attributes:
        context: The kubeconfig's context.
        server: The API server's host.
        namespace: The sample's namespace.
        mesh: The control plane's namespace.
        undo: It takes back what a walk has made.
    """

    more: ClassVar[tuple[str, str]] = ("the guide would now do", "changed")

    context: str
    server: str
    namespace: str
    mesh: str = field(metadata=HIDDEN)
    undo: bool
    steps: tuple[GuideStep, ...] = field(metadata=HIDDEN)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do: nothing of a walk is there any more."""
        return not self.steps

    def beyond(self, shown: GuidePlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        return tuple(step.line for step in self.steps if step not in shown.steps)


@dataclass(frozen=True, kw_only=True)
class Walked:
    """What came of one step.

    Attributes:
        proof: What its command proved; empty where it failed.
        code: The command's exit code.
        result: What the command came to; None where it failed before that.
        error: Why it failed.
    """

    step: GuideStep = field(metadata=MERGED)
    proof: str = ""
    code: int = 0
    result: Any = field(default=None, repr=False)
    error: MeshError | None = field(default=None, metadata=HIDDEN)

    @property
    def proved(self) -> bool:
        """Whether the walk may go on."""
        return self.code == 0 and bool(self.proof)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the command line beside the fields, and the proof."""
        return {"command": self.step.line, **fields_of(self), "proved": self.proved}


@dataclass(frozen=True, kw_only=True)
class GuideResult:
    """How far a walk came.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        walked: What came of each step that was taken.
        printed: It is wanted as Markdown.
    """

    plan: GuidePlan = field(metadata=MERGED)
    agreed: bool = True
    walked: tuple[Walked, ...] = field(default=(), metadata={"key": "steps"})
    printed: bool = field(default=False, metadata=HIDDEN)

    @property
    def stopped(self) -> Walked | None:
        """The step that was not proved; None where there was none."""
        return next((walked for walked in self.walked if not walked.proved), None)

    @property
    def remaining(self) -> tuple[GuideStep, ...]:
        """The steps that were not taken."""
        return self.plan.steps[len(self.walked) :]

    @property
    def exit_code(self) -> int:
        """That of the step that was not proved, else 0."""
        return (self.stopped.code or CheckError.exit_code) if self.stopped else 0

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """Why the walk stopped."""
        return (self.stopped.error,) if self.stopped and self.stopped.error else ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the command lines that are left, beside the fields."""
        return fields_of(self) | {"remaining": [step.line for step in self.remaining] if self.agreed else []}


async def plan_guide(choices: Choices, runtime: Runtime, mesh: str) -> GuidePlan:
    """See whether the guide can be walked on a cluster; nothing is written.

    Args:
        mesh: The control plane's namespace; empty for the usual one.

    Raises:
        CheckError: A mesh is there, or what is left of one; or the sample's namespace is not as it was before.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    cluster, control_plane = runtime.cluster, ObjectRef("v1", "Namespace", mesh or ISTIO_NAMESPACE)
    installation, crds, found, labels, sample = await asyncio.gather(
        find_installation(cluster, mesh),
        istio_crds(cluster.objects),
        cluster.objects.get(control_plane, metadata_only=True),
        _labels(cluster, choices.namespace),
        _objects_of_sample(cluster, choices.namespace),
    )
    names = [str(crd["metadata"]["name"]) for crd in crds]
    left = [*names, *([f"namespace {control_plane.name}"] if found is not None else [])]
    refuse_failures(
        check_fresh(_in_words(installation), istio=left, namespace=choices.namespace, labels=labels, sample=sample)
    )
    return _plan(choices, cluster, control_plane.name, walk_of(choices), undo=False)


async def plan_undo(choices: Choices, runtime: Runtime, mesh: str) -> GuidePlan:
    """See what of a walk is there; nothing is written.

    Args:
        mesh: The control plane's namespace; empty for the usual one.

    Raises:
        CheckError: The mesh is not of a walk, or somebody else uses it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    cluster, sample = runtime.cluster, SAMPLES[SAMPLE]
    plan = await plan_uninstall(cluster, mesh, purge=True)
    where = plan.installation.namespace
    histories, read, applied, labels, objects = await asyncio.gather(
        cluster.histories.read_all(),
        read_surroundings(cluster, SERVICE, choices.namespace),
        applied_objects(sample, choices.namespace, cluster),
        _labels(cluster, choices.namespace),
        _objects_of_mesh(plan, cluster),
    )
    history = histories.get(where)
    by_guide = any(run.command == GUIDE for run in history.runs) if history else False
    refuse_failures(check_made(_in_words(plan.installation), by_guide=by_guide))
    made = Made(
        traffic=by_guide and bool(read.around.made),
        sample=by_guide and bool(applied),
        label=by_guide and bool(labels),
        mesh=by_guide,
    )
    own = {str(ref) for ref in (*applied, *map(ref_of, read.around.made))}
    refuse_failures(
        check_unused(
            [ref for ref in objects if ref not in own],
            [entry.namespace for entry in plan.labelled if entry.namespace != choices.namespace],
            [str(workload.ref) for workload in plan.workloads if str(workload.ref) not in own],
        )
        if by_guide
        else ()
    )
    return _plan(choices, cluster, where, way_back(choices, made), undo=True)


async def begin(shown: GuidePlan, choices: Choices, runtime: Runtime) -> None:
    """Note in the mesh's history that a walk begins: what it makes is known by it.

    Raises:
        CheckError: The cluster is no longer as it was shown.
        ClusterError: The cluster cannot be reached, or refuses.
        HeldError: Another run holds the mesh.
    """
    async with (
        agreed(shown, lambda: plan_guide(choices, runtime, shown.mesh), runtime, command=GUIDE, step=GUIDE) as plan,
        recorded_run(runtime.cluster, Run(command=GUIDE, namespace=plan.mesh)),
    ):
        pass


def walked(step: GuideStep, code: int, results: Iterable[Any], errors: Iterable[MeshError]) -> Walked:
    """Judge a step whose command has run.

    Args:
        code: Its exit code.
        results: What it showed; the last one is what it came to.
        errors: What it failed with.
    """
    result = next(reversed([*results]), None)
    done = Walked(step=step, code=code, result=result, error=next(iter(errors), None))
    if code or result is None:
        return done
    return replace(done, proof=step.proof(data_of(result)))


def _plan(choices: Choices, cluster: Cluster, mesh: str, steps: tuple[GuideStep, ...], *, undo: bool) -> GuidePlan:
    return GuidePlan(
        context=cluster.context, server=cluster.host, namespace=choices.namespace, mesh=mesh, undo=undo, steps=steps
    )


def _in_words(installation: Installation) -> str:
    """Say which mesh there is; empty where there is none."""
    versions = {installed.chart_version for installed in installation.releases.values()}
    if versions or installation.record:
        return f"Istio {', '.join(sorted(versions))}".strip() + f" is installed in {installation.namespace}"
    return str(installation.foreign[0]) if installation.foreign else ""


async def _labels(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    found = await cluster.objects.get(ObjectRef("v1", "Namespace", namespace), metadata_only=True)
    labels: Mapping[str, str] = (found or {}).get("metadata", {}).get("labels") or {}
    return tuple(f"{key}={value}" for key, value in injection_labels(labels).items())


async def _objects_of_sample(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    """Name what the sample's own names are taken by: its page's Service, whoever made it, and what nksmesh applied."""
    sample = SAMPLES[SAMPLE]
    service = ObjectRef("v1", "Service", sample.page.service.partition(":")[0], namespace)
    live, applied = await asyncio.gather(
        cluster.objects.get(service, metadata_only=True), applied_objects(sample, namespace, cluster)
    )
    refs: Collection[ObjectRef] = {*applied, *([service] if live is not None else [])}
    return tuple(map(str, refs))


async def _objects_of_mesh(plan: UninstallPlan, cluster: Cluster) -> tuple[str, ...]:
    """Name the Istio objects that go with a mesh's CRDs, without those of its own releases."""
    releases = {release.key for release in plan.installation.releases}
    holding = [leftover.ref for leftover in plan.leftovers if leftover.objects]
    listed = await asyncio.gather(*(objects_of_crd(crd, cluster.objects) for crd in holding))
    found = (manifest for some in listed for manifest in some)
    return tuple(str(ref_of(manifest)) for manifest in found if helm_marks(manifest) not in releases)
