"""``nksmesh sample deploy`` and ``delete``: a sample's objects applied, its pods awaited, and these alone deleted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.gateways.listeners import check_listeners
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.samples.object_set import placed_objects
from nksmesh.domain.samples.sample import Sample, check_namespace
from nksmesh.engine.gateways import read_gateways
from nksmesh.engine.injection import read_injection
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.samples import (
    ObjectsPlan,
    ObjectsResult,
    follow_plan,
    plan_applying,
    plan_deleting,
    pods_step,
    prove_pulled,
)


@dataclass(frozen=True, kw_only=True)
class SamplePlan(ObjectsPlan):
    """What deploying or deleting a sample would do.

    Attributes:
        deploy: It is deployed; else it is deleted.
    """

    sample: str
    namespace: str
    deploy: bool

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""
        return f"sample {'deploy' if self.deploy else 'delete'} would now do", "changed"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do; a sample that is deployed is at least waited for."""
        return not self.deploy and not self.steps


class SampleResult(ObjectsResult[SamplePlan]):
    """What came of it."""


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
        ImageError: A pod would not get its image.
    """
    cluster, sample = runtime.cluster, order.sample
    manifests = placed_objects(sample, order.manifests, order.namespace, order.image_hub)
    facts, gateways = await asyncio.gather(
        read_injection(cluster, [order.namespace]), read_gateways(cluster, runtime.helm, "")
    )
    live = facts.namespaces.get(order.namespace)
    injecting = facts.place(order.namespace).revision_of({}) if live else ""
    refuse_failures(check_namespace(order.namespace, live, injecting))
    plan = await plan_applying(sample, manifests, cluster)
    injector = facts.place(order.namespace).injector_of({})
    pulled = await prove_pulled(plan.steps, runtime, hub=order.image_hub, injector=injector)
    endpoints = [gateway.endpoint(cluster.live) for gateway in gateways.seen]
    own = [manifest for manifest in manifests if manifest["kind"] == "Gateway"]
    return SamplePlan(
        sample=sample.name,
        namespace=order.namespace,
        deploy=True,
        steps=(*plan.steps, pods_step(plan.steps, injected=True)),
        images=plan.images,
        findings=(*plan.findings, *pulled, *check_listeners(own, endpoints)),
    )


async def plan_delete(order: SampleOrder, runtime: Runtime) -> SamplePlan:
    """See which objects of a sample there are that nksmesh applied; nothing is written.

    Raises:
        ClusterError: One of them is kept by somebody else now; or the cluster cannot be reached, or refuses.
    """
    plan = await plan_deleting(order.sample, order.namespace, runtime.cluster)
    return SamplePlan(
        sample=order.sample.name, namespace=order.namespace, deploy=False, steps=plan.steps, findings=plan.findings
    )


async def follow(shown: SamplePlan, order: SampleOrder, runtime: Runtime) -> SampleResult:
    """Do what was shown: apply the objects and wait for every pod, or delete the objects.

    Raises:
        MeshError: As ``follow_plan`` says.
    """
    plan_again = plan_deploy if shown.deploy else plan_delete
    command = f"sample {'deploy' if shown.deploy else 'delete'} {shown.sample}"
    plan, progress = await follow_plan(shown, lambda quiet: plan_again(order, quiet), runtime, command)
    return SampleResult(plan=plan, progress=progress)
