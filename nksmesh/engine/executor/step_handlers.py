"""What each kind of step does, and what proves that it is done."""

from __future__ import annotations

import asyncio
from typing import Any

from nksmesh.domain.charts.releases import Proof
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import Manifest, ObjectRef, with_helm_marks
from nksmesh.domain.plan.plan import (
    Action,
    CrdsStep,
    GateStep,
    NamespaceStep,
    Phase,
    ReleaseChange,
    ReleaseStep,
    RemovalStep,
)
from nksmesh.domain.plan.pull_secrets import PullSecretStep
from nksmesh.engine import observation
from nksmesh.engine.crds import keep_crds, keep_dropped_crds
from nksmesh.engine.executor.gate import Gate, Probe, pass_gate, where_labels_decide
from nksmesh.engine.executor.gateways import prove_gateway
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.removal_proof import await_end, look_after
from nksmesh.engine.executor.revert import revert_release
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.executor.take_ownership import take_object, take_release
from nksmesh.engine.ports import Objects


@handles(NamespaceStep)
async def make_namespace(work: StepContext[NamespaceStep]) -> str:
    """Create a namespace that does not exist."""
    if work.step.action is Action.KEEP:
        return "exists"
    name = work.step.namespace
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await work.cluster.objects.apply(manifest, ObjectRef("v1", "Namespace", name))
    return "created"


@handles(PullSecretStep)
async def make_pull_secret(work: StepContext[PullSecretStep]) -> str:
    """Write a pull secret."""
    step = work.step
    if step.action is Action.KEEP:
        return "exists"
    await work.cluster.objects.apply(step.new.manifest, step.secret)
    return "created" if step.action is Action.CREATE else "renewed"


@handles(CrdsStep)
async def apply_crds(work: StepContext[CrdsStep]) -> str:
    """Apply the CRDs of base's crds/ folder server-side, and wait until each is Established."""
    crds = [crd for crd in work.step.crds if crd.differs or not crd.exists]
    if not crds:
        newer = any(crd.newer for crd in work.step.crds)
        crds_are = counted(len(work.step.crds), "CRD is", "CRDs are")
        return f"{crds_are} newer than the chart's" if newer else f"{crds_are} as in the chart"
    live = work.cluster.live
    await live.follow_from_now(observation.CRDS)

    async def apply(manifest: Manifest) -> None:
        ref = observation.crd_ref(manifest["metadata"]["name"])
        write = take_object if work.step.take_over else _apply
        live.put(observation.CRDS, await write(manifest, ref, work.cluster.objects))

    await asyncio.gather(*(apply(crd.manifest) for crd in crds))
    work.reached(Phase.WRITTEN)
    return await work.until_ready(lambda: observation.crds_established(live, (crd.name for crd in crds)))


@handles(ReleaseStep)
async def make_release(work: StepContext[ReleaseStep]) -> str:
    """Have Helm install or upgrade a release where it must be written, and prove it ready."""
    change, live = work.step.change, work.cluster.live
    crds = observation.crd_names(change.manifests) if change.reasons else ()
    if crds:
        await live.follow_from_now(observation.CRDS)
    if change.reasons:
        established = asyncio.create_task(_tell_established(work, crds))
        try:
            await _write(work, change)
        finally:
            established.cancel()
            await asyncio.gather(established, return_exceptions=True)
    work.reached(Phase.WRITTEN)
    if change.stale_pods:
        return "written; its pods are restarted next"
    match change.release.kind.proof:
        case Proof.CRDS:
            return await _prove_crds(work, crds) if crds else "installed"
        case Proof.ROLLOUT:
            return await work.until_ready(
                lambda: observation.rollout_of(live, change.release, change.manifests), change.release, change.manifests
            )
        case Proof.INJECTED_ROLLOUT:
            return await prove_gateway(work)


@handles(GateStep)
async def prove_webhook(work: StepContext[GateStep]) -> str:
    """Pass the webhook gate, as the pods of every gateway will; a canary has none, and is asked for by name."""
    step = work.step
    probes = [Probe(gateway.namespace, gateway.istio_revision) for gateway in step.gateways]
    if not step.gateways:
        where = await where_labels_decide(step.istiod.namespace, work.cluster)
        probes = [Probe(namespace, step.istiod.istio_revision) for namespace in where]
    gate = Gate(step=step.name, istiod=step.istiod, probes=tuple(dict.fromkeys(probes)), proxy_image=step.proxy_image)
    return await pass_gate(gate, work.runtime)


@handles(RemovalStep)
async def remove_release(work: StepContext[RemovalStep]) -> str:
    """Have Helm remove a release, and prove that it is gone; CRDs it has stay, and what they hold with them."""
    release, stored, timeout = work.step.release, work.step.stored, work.runtime.waits.component
    await keep_crds(stored, work.cluster, work.helm)
    await work.helm.uninstall(release, timeout=timeout)
    found = await look_after(release, stored, work.cluster, work.helm)
    work.progress.staying += found.staying
    work.reached(Phase.WRITTEN)
    if found.ending:
        await await_end(
            found.ending, work.cluster, step=work.step.name, timeout=timeout, listener=work.runtime.listener
        )
    work.progress.removed.append(f"release {release.name}")
    return "removed" + (f"; kept: {', '.join(found.staying)}" if found.staying else "")


async def _apply(manifest: Manifest, ref: ObjectRef, objects: Objects) -> dict[str, Any]:
    return await objects.apply(manifest, ref)


async def _write(work: StepContext[ReleaseStep], change: ReleaseChange) -> None:
    if change.action is Action.ROLLBACK:
        await revert_release(work)
        return
    if change.left_pending is not None:
        await work.cluster.storage.forget(change.left_pending)
    await asyncio.gather(*(_make_ours(work, ref) for ref in change.left_crds))
    if change.taken or (work.step.take_over and change.installed is None):
        await take_release(change, work.cluster, timeout=work.runtime.waits.component, listener=work.runtime.listener)
    if change.installed is not None and change.action is Action.UPGRADE:
        await keep_dropped_crds(change.installed, change.manifests, work.cluster, work.helm)
    write = work.helm.install if change.action is Action.INSTALL else work.helm.upgrade
    await write(change.release, change.chart, change.composed.values, timeout=work.runtime.waits.component)
    await work.look_at_workloads(change)


async def _make_ours(work: StepContext[ReleaseStep], ref: ObjectRef) -> None:
    """Make a CRD the release's, as Helm marks what it owns, so that Helm takes it for its own."""
    await work.cluster.objects.merge({"metadata": with_helm_marks({}, work.step.change.release)}, ref)


async def _tell_established(work: StepContext[ReleaseStep], names: tuple[str, ...]) -> None:
    """Let go on what waits for a release's CRDs alone, while Helm is still at work on its other objects."""
    live = work.cluster.live
    while not observation.crds_established(live, names).ready:
        await live.changed(live.version)
    work.reached(Phase.ESTABLISHED)


async def _prove_crds(work: StepContext[ReleaseStep], names: tuple[str, ...]) -> str:
    """Wait for the CRDs that base's templates have; those it left as they were are read, as no watch tells of them."""
    live = work.cluster.live
    unseen = [observation.crd_ref(name) for name in names if live.get(observation.CRDS.kind, name) is None]
    for found in (await work.cluster.objects.get_all(unseen)).values():
        if found is not None:
            live.put(observation.CRDS, found)
    return await work.until_ready(lambda: observation.crds_established(live, names))
