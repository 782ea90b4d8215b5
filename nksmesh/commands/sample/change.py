"""``nksmesh sample deploy`` and ``delete``: a sample's objects applied, its pods awaited, and these alone deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nksmesh.domain.common.data import HIDDEN, MERGED, fields_of
from nksmesh.domain.common.findings import Finding, refuse_failures, warnings_of
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.gateways.listeners import check_listeners
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.kube.readiness import Readiness, failed, first_unready, of_deployment, ready
from nksmesh.domain.kube.workloads import is_injected
from nksmesh.domain.plan.plan import Action, Need, ObjectStep, Step
from nksmesh.domain.samples.sample import (
    SAMPLE_LABEL,
    Sample,
    check_changed,
    check_foreign,
    check_namespace,
    sample_objects,
)
from nksmesh.engine import observation
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.object_steps import steps_to
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import Progress, StepContext
from nksmesh.engine.gateways import read_gateways
from nksmesh.engine.injection import read_injection
from nksmesh.engine.ports import Cluster, Live
from nksmesh.engine.rollouts import queries_in
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import Wait, wait_until_ready

_DEPLOYMENT: Final = "Deployment"
_ACCOUNT: Final = "ServiceAccount"


@dataclass(frozen=True, kw_only=True)
class PodsStep(Step):
    """Every pod of a sample is ready, its proxy too.

    Attributes:
        deployments: The sample's Deployments.
    """

    deployments: tuple[ObjectRef, ...]


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """What deploying or deleting a sample would do.

    Attributes:
        deploy: It is deployed; else it is deleted.
        steps: What becomes of each object.
        images: The images that its pods pull.
    """

    sample: str
    namespace: str
    deploy: bool
    steps: tuple[Step, ...]
    images: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""
        return f"sample {'deploy' if self.deploy else 'delete'} would now do", "changed"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do; a sample that is deployed is at least waited for."""
        return not self.deploy and not self.steps

    def beyond(self, shown: SamplePlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        before = {step.name: step.action for step in shown.steps}
        return tuple(
            f"{step.action.value} {step.name}"
            for step in self.steps
            if step.changes and before.get(step.name) != step.action
        )

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the findings with their ids."""
        return fields_of(self) | {"findings": [{"id": finding.id, **fields_of(finding)} for finding in self.findings]}


@dataclass(frozen=True, kw_only=True)
class SampleResult:
    """What came of it.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        progress: What came of each step.
    """

    plan: SamplePlan = field(metadata=MERGED)
    agreed: bool = True
    progress: Progress = field(default_factory=Progress, metadata=HIDDEN)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return (*warnings_of(self.plan.findings), *self.progress.warnings)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and what came of each step."""
        return fields_of(self) | {"done": self.progress.outcomes}


@dataclass(frozen=True, kw_only=True)
class SampleOrder:
    """What is asked for.

    Attributes:
        manifests: The sample's objects as its files have them; empty where it is deleted.
        image_hub: The registry path that its images come from; empty for those in the files.
    """

    sample: Sample
    namespace: str
    manifests: tuple[Manifest, ...] = ()
    image_hub: str = ""


async def plan_deploy(order: SampleOrder, runtime: Runtime) -> SamplePlan:
    """See what deploying a sample would do; nothing is written.

    Raises:
        ConfigError: There is no such namespace, or an object or an image may not be used.
        CheckError: Pods in the namespace get no proxy.
        ClusterError: An object is somebody else's; or the cluster cannot be reached, or refuses an object.
    """
    cluster, sample = runtime.cluster, order.sample
    manifests = sample_objects(sample, order.manifests, order.namespace, order.image_hub)
    facts, found, gateways = await asyncio.gather(
        read_injection(cluster, [order.namespace]),
        cluster.objects.get_all(ref_of(manifest) for manifest in manifests),
        read_gateways(cluster, runtime.helm, ""),
    )
    live = facts.namespaces.get(order.namespace)
    injecting = facts.place(order.namespace).revision_of({}) if live else ""
    refuse_failures((*check_namespace(order.namespace, live, injecting), *check_foreign(sample, found)))
    steps = await steps_to(manifests, found, cluster.objects)
    endpoints = [gateway.endpoint(cluster.live) for gateway in gateways.seen]
    own = [manifest for manifest in manifests if manifest["kind"] == "Gateway"]
    return SamplePlan(
        sample=sample.name,
        namespace=order.namespace,
        deploy=True,
        steps=tuple(_in_order(steps)),
        images=tuple(dict.fromkeys(image.image for image in images_of(manifests, order.namespace))),
        findings=(
            *check_changed({ref: item for ref, item in found.items() if item is not None}),
            *check_listeners(own, endpoints),
        ),
    )


async def plan_delete(order: SampleOrder, runtime: Runtime) -> SamplePlan:
    """See which objects of a sample there are that nksmesh applied; nothing is written.

    Raises:
        ClusterError: One of them is kept by somebody else now; or the cluster cannot be reached, or refuses.
    """
    found = await applied_objects(order.sample, order.namespace, runtime.cluster)
    refuse_failures(check_foreign(order.sample, found))
    return SamplePlan(
        sample=order.sample.name,
        namespace=order.namespace,
        deploy=False,
        steps=tuple(ObjectStep(name=str(ref), action=Action.REMOVE, ref=ref) for ref in found),
        findings=tuple(check_changed(found)),
    )


async def applied_objects(sample: Sample, namespace: str, cluster: Cluster) -> dict[ObjectRef, Manifest]:
    """List the objects of a sample in a namespace that have its label.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    label = f"{SAMPLE_LABEL}={sample.name}"
    listed = await asyncio.gather(*(cluster.objects.list(*kind, namespace, labels=label) for kind in sample.kinds))
    return {ref_of(manifest): manifest for some in listed for manifest in some}


async def follow(shown: SamplePlan, order: SampleOrder, runtime: Runtime) -> SampleResult:
    """Do what was shown: apply the objects and wait for every pod, or delete the objects.

    Raises:
        ClusterError: There is more to do now than was shown; or the cluster cannot be reached, or refuses.
        NotReadyError: A pod does not become ready.
        HeldError: Another run holds the mesh.
    """
    plan_again = plan_deploy if shown.deploy else plan_delete
    command = f"sample {'deploy' if shown.deploy else 'delete'} {shown.sample}"

    async def again() -> SamplePlan:
        return await plan_again(order, runtime)

    async with agreed(shown, again, runtime, command=command, step="sample") as plan:
        progress = await Executor(plan.steps, runtime).run()
    return SampleResult(plan=plan, progress=progress)


@handles(PodsStep)
async def prove_pods(work: StepContext[PodsStep]) -> str:
    """Wait until every Deployment is rolled out, and every pod of it has a proxy."""
    live, runtime, refs = work.cluster.live, work.runtime, work.step.deployments
    namespaces = dict.fromkeys(ref.namespace for ref in refs)
    new = await live.follow([query for namespace in namespaces for query in queries_in(namespace)])
    wait = Wait(
        step=work.step.name,
        judge=lambda: pods_ready(live, refs),
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


def pods_ready(live: Live, refs: Sequence[ObjectRef]) -> Readiness:
    """Judge Deployments that are followed: rolled out, and every pod with a proxy (2/2)."""
    answers = (of_deployment(live.get(ref.kind, ref.name, ref.namespace), ref.name) for ref in refs)
    if unready := first_unready(answers):
        return unready
    pods = [pod for workload in _workloads(live, refs) for pod in observation.pods_of_workload(live, workload)]
    bare = [str(pod["metadata"]["name"]) for pod in pods if not is_injected(pod) and not _ends(pod)]
    if bare:
        return failed(f"pod {bare[0]} has no proxy: run nksmesh inject status to see why")
    return ready(f"{counted(len(pods), 'pod is', 'pods are')} ready, each with its proxy")


def _ends(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _workloads(live: Live, refs: Iterable[ObjectRef]) -> Iterator[Manifest]:
    for ref in refs:
        found = live.get(ref.kind, ref.name, ref.namespace)
        if found is not None:
            yield {"kind": ref.kind, **found}


def _in_order(steps: Sequence[ObjectStep]) -> Iterator[Step]:
    """Let Deployments begin behind the service accounts of their pods, and the wait for the pods behind all."""
    accounts = tuple(Need(step.name) for step in steps if step.ref.kind == _ACCOUNT)
    for step in steps:
        yield replace(step, needs=accounts) if step.ref.kind == _DEPLOYMENT else step
    yield PodsStep(
        name="pods",
        action=Action.PROVE,
        needs=tuple(Need(step.name) for step in steps),
        deployments=tuple(step.ref for step in steps if step.ref.kind == _DEPLOYMENT),
    )
