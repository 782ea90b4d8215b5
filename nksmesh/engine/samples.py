"""Objects of Istio's samples and add-ons: applied in order, awaited, and these alone deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from nksmesh.domain.common.data import HIDDEN, MERGED, fields_of
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.findings import Finding, refuse_failures, warnings_of
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import Manifest, ObjectRef, kind_of_crd, ref_of
from nksmesh.domain.kube.readiness import Readiness, failed, first_unready, of_workload, ready
from nksmesh.domain.kube.workloads import is_injected
from nksmesh.domain.plan.plan import Action, Need, ObjectStep, Step
from nksmesh.domain.samples.object_set import SAMPLE_LABEL, ObjectSet, check_changed, check_crds_in_use, check_foreign
from nksmesh.engine import observation
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.object_steps import CRD, EstablishedStep, LaterServedStep, steps_to
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import Progress, StepContext
from nksmesh.engine.images import prove_images_of
from nksmesh.engine.ports import Cluster, Live
from nksmesh.engine.rollouts import queries_in
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import Wait, wait_until_ready

_WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_OF_PODS: Final = frozenset(
    {"ServiceAccount", "ConfigMap", "Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
)
"""What pods need from their first moment on; a kubelet tries again, but not at once."""

_IMMUTABLE: Final = "field is immutable"


@dataclass(frozen=True, kw_only=True)
class PodsStep(Step):
    """Every pod of some workloads is ready.

    Attributes:
        workloads: The Deployments, StatefulSets and DaemonSets.
        injected: Each pod has a proxy, too.
    """

    workloads: tuple[ObjectRef, ...]
    injected: bool = True


@dataclass(frozen=True, kw_only=True)
class ObjectsPlan:
    """What applying or deleting objects of samples would do.

    Attributes:
        steps: What becomes of each object.
        images: The images that their pods pull.
    """

    steps: tuple[Step, ...]
    images: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def beyond(self, shown: ObjectsPlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        before = {step.name: step.action for step in shown.steps}
        return tuple(
            f"{step.action.value} {step.name}"
            for step in self.steps
            if step.changes and before.get(step.name) != step.action
        )

    def with_images_of(self, shown: Self) -> Self:
        """Take over what was found of the images before the plan was shown: they are looked for once."""
        of_images = (finding for finding in shown.findings if finding.group == "images")
        return replace(self, findings=(*self.findings, *of_images))

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the findings with their ids."""
        return fields_of(self) | {"findings": [{"id": finding.id, **fields_of(finding)} for finding in self.findings]}


class FollowedPlan(Protocol):
    """A plan of objects, with the words for it."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What becomes of each object."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a reader should know."""

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""

    def beyond(self, shown: Any) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""

    def with_images_of(self, shown: Any) -> Self:
        """Take over what was found of the images before the plan was shown."""


P = TypeVar("P", bound=FollowedPlan)


@dataclass(frozen=True, kw_only=True)
class ObjectsResult(Generic[P]):
    """What came of it.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        progress: What came of each step.
    """

    plan: P = field(metadata=MERGED)
    agreed: bool = True
    progress: Progress = field(default_factory=Progress, metadata=HIDDEN)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return (*warnings_of(self.plan.findings), *self.progress.warnings)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and what came of each step."""
        return fields_of(self) | {"done": self.progress.outcomes}


async def plan_applying(wanted: ObjectSet, manifests: Sequence[Manifest], cluster: Cluster) -> ObjectsPlan:
    """See what applying a set of objects would do, without the wait for its pods; nothing is written.

    Args:
        manifests: The objects as ``placed_objects`` returns them.

    Raises:
        ClusterError: An object is somebody else's; or the cluster cannot be reached, or refuses an object.
    """
    found = await cluster.objects.get_all(ref_of(manifest) for manifest in manifests)
    refuse_failures(check_foreign(wanted, found))
    try:
        steps = await steps_to(manifests, found, cluster.objects)
    except RefusedError as refused:
        if _IMMUTABLE in refused.detail:
            refused.hint = f"Run {wanted.removal}, then the same command again."
        raise
    return ObjectsPlan(
        steps=tuple(_in_order(wanted, steps)),
        images=tuple(dict.fromkeys(image.image for image in images_of(manifests, ""))),
        findings=tuple(check_changed({ref: item for ref, item in found.items() if item is not None})),
    )


async def prove_pulled(
    steps: Iterable[Step], runtime: Runtime, *, hub: str, injector: Manifest | None = None
) -> tuple[Finding, ...]:
    """Look for the images of the objects that some steps write, as ``prove_images_of`` does.

    Raises:
        MeshError: A pod would not get its image, or as ``prove_images_of`` says.
    """
    written = [step.manifest for step in steps if isinstance(step, ObjectStep) and step.manifest and step.changes]
    found = await prove_images_of(written, runtime, hub=hub, injector=injector)
    refuse_failures(found)
    return found


def pods_step(steps: Iterable[Step], *, injected: bool) -> PodsStep:
    """Make the step that waits for the pods of all workloads that some steps apply, behind these."""
    known = tuple(steps)
    refs = (step.ref for step in known if isinstance(step, ObjectStep))
    return PodsStep(
        name="pods",
        action=Action.PROVE,
        needs=tuple(Need(step.name) for step in known),
        workloads=tuple(ref for ref in refs if ref.kind in _WORKLOADS),
        injected=injected,
    )


async def plan_deleting(wanted: ObjectSet, namespace: str, cluster: Cluster) -> ObjectsPlan:
    """See which objects of a set there are that nksmesh applied; nothing is written.

    Raises:
        ClusterError: One of them is kept by somebody else now; or the cluster cannot be reached, or refuses.
    """
    found = await applied_objects(wanted, namespace, cluster)
    refuse_failures(check_foreign(wanted, found))
    made = {ref: crd for ref, crd in found.items() if ref.kind == CRD}
    others = dict(zip(made, await asyncio.gather(*(_others_of(crd, cluster) for crd in made.values())), strict=True))
    in_use = {ref: some for ref, some in others.items() if some}
    return ObjectsPlan(
        steps=tuple(ObjectStep(name=str(ref), action=Action.REMOVE, ref=ref) for ref in found if ref not in in_use),
        findings=(*check_changed(found), *check_crds_in_use(in_use)),
    )


async def _others_of(crd: Manifest, cluster: Cluster) -> list[ObjectRef]:
    """List the objects of a CRD's kind that did not come with it."""
    spec = crd["spec"]
    version = next(str(version["name"]) for version in spec["versions"] if version.get("storage"))
    listed = await cluster.objects.list(f"{spec['group']}/{version}", kind_of_crd(crd), metadata_only=True)
    kind = {"apiVersion": f"{spec['group']}/{version}", "kind": kind_of_crd(crd)}
    return [ref_of({**item, **kind}) for item in listed if SAMPLE_LABEL not in (item["metadata"].get("labels") or {})]


async def applied_objects(wanted: ObjectSet, namespace: str, cluster: Cluster) -> dict[ObjectRef, Manifest]:
    """List the objects of a set in a namespace, and its cluster-scoped ones, that have its label.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    label = f"{SAMPLE_LABEL}={wanted.name}"
    listed = await asyncio.gather(*(cluster.objects.list(*kind, namespace, labels=label) for kind in wanted.kinds))
    return {ref_of(manifest): manifest for some in listed for manifest in some}


async def follow_plan(
    shown: P, again: Callable[[Runtime], Awaitable[P]], runtime: Runtime, command: str
) -> tuple[P, Progress]:
    """Do what was shown, as it is now that nobody else writes.

    Args:
        again: Makes the plan once more.
        command: What the lease calls the run.

    Raises:
        ClusterError: There is more to do now than was shown; or the cluster cannot be reached, or refuses.
        NotReadyError: A pod does not become ready.
        HeldError: Another run holds the mesh.
    """

    async def as_it_is() -> P:
        return (await again(replace(runtime, registries=None))).with_images_of(shown)

    async with agreed(shown, as_it_is, runtime, command=command, step=command.split(maxsplit=1)[0]) as plan:
        return plan, await Executor(plan.steps, runtime).run()


@handles(PodsStep)
async def prove_pods(work: StepContext[PodsStep]) -> str:
    """Wait until every workload is rolled out, and every pod of it has a proxy where it is to have one."""
    live, runtime, refs = work.cluster.live, work.runtime, work.step.workloads
    namespaces = dict.fromkeys(ref.namespace for ref in refs)
    new = await live.follow([query for namespace in namespaces for query in queries_in(namespace)])
    wait = Wait(
        step=work.step.name,
        judge=lambda: pods_ready(live, refs, injected=work.step.injected),
        troubles=lambda: [
            trouble
            for workload in _workloads(live, refs)
            for trouble in observation.troubles_of_workload(live, workload)
        ],
    )
    try:
        return await wait_until_ready(wait, live, work.cluster.objects, waits=runtime.waits, listener=runtime.listener)
    finally:
        await live.unfollow(new)


def pods_ready(live: Live, refs: Sequence[ObjectRef], *, injected: bool = True) -> Readiness:
    """Judge workloads that are followed: rolled out, and every pod with a proxy (2/2) where it is to have one."""
    answers = (of_workload(live.get(ref.kind, ref.name, ref.namespace), ref.kind, ref.name) for ref in refs)
    if unready := first_unready(answers):
        return unready
    pods = [pod for workload in _workloads(live, refs) for pod in observation.pods_of_workload(live, workload)]
    bare = [str(pod["metadata"]["name"]) for pod in pods if not is_injected(pod) and not _ends(pod)]
    if bare and injected:
        return failed(f"pod {bare[0]} has no proxy: run nksmesh inject status to see why")
    return ready(f"{counted(len(pods), 'pod is', 'pods are')} ready{', each with its proxy' if injected else ''}")


def _ends(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _workloads(live: Live, refs: Iterable[ObjectRef]) -> Iterator[Manifest]:
    for ref in refs:
        found = live.get(ref.kind, ref.name, ref.namespace)
        if found is not None:
            yield {"kind": ref.kind, **found}


def _in_order(wanted: ObjectSet, steps: Sequence[ObjectStep]) -> Iterator[Step]:
    """Put CRDs before what they define, and workloads behind what their pods need."""
    crds = tuple(step for step in steps if step.ref.kind == CRD)
    served = EstablishedStep(
        name=f"CRDs of {wanted.name}",
        action=Action.PROVE,
        needs=tuple(Need(step.name) for step in crds),
        crds=tuple(step.ref.name for step in crds),
    )
    before = tuple(Need(step.name) for step in steps if step.ref.kind in _OF_PODS)
    needs: Mapping[type[Step], tuple[Need, ...]] = {LaterServedStep: (Need(served.name),)}
    for step in steps:
        wants = before if step.ref.kind in _WORKLOADS else needs.get(type(step), ())
        yield replace(step, needs=wants) if wants else step
        if crds and step is crds[-1]:
            yield served
