"""Gateways: their pods on the planned proxy, those without one brought back, and their addresses."""

from __future__ import annotations

import asyncio
from typing import Final

from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import INJECTED_IMAGE, ObjectRef
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.plan.plan import ReleaseStep, RestartStep
from nksmesh.engine import observation
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.load_balancers import wait_for_address
from nksmesh.engine.rollouts import begin_restart, stamp_of_now

ADDRESS_SECONDS: Final = 30.0
"""How long a LoadBalancer's address is waited for on a public network; a closed one may never give any."""

_MOST_ROUNDS: Final = 2


async def prove_gateway(work: StepContext[ReleaseStep]) -> str:
    """Wait until a gateway is rolled out on the planned proxy, then for its address.

    Raises:
        NotReadyError: It cannot become ready, or its time is over.
    """
    change, live = work.step.change, work.cluster.live
    reinjecting = asyncio.create_task(_reinject(work))
    try:
        proved = await work.until_ready(
            lambda: observation.gateway_ready(live, change.release, change.manifests, work.step.proxy_image),
            change.release,
            change.manifests,
        )
    finally:
        reinjecting.cancel()
        await asyncio.gather(reinjecting, return_exceptions=True)
    return ", ".join(filter(None, (proved, await _address(work))))


@handles(RestartStep)
async def restart_gateway(work: StepContext[RestartStep]) -> str:
    """Restart a gateway whose pods run another proxy than the planned one, as ``kubectl rollout restart`` does.

    Raises:
        NotReadyError: It does not become ready again.
    """
    stamp = stamp_of_now()
    for ref in observation.workloads_of(work.step.change.release, work.step.change.manifests):
        await begin_restart(ref, work.cluster, stamp)
    return await prove_gateway(work)


async def _reinject(work: StepContext[ReleaseStep]) -> None:
    """Delete pods that were admitted without injection, so that they come back with a proxy.

    Each is deleted once, and not more of them than would replace every pod twice: what comes back without a proxy
    again and again is left to the wait, which says why.
    """
    change, live = work.step.change, work.cluster.live
    deleted: set[str] = set()
    while len(deleted) < _MOST_ROUNDS * max(1, len(observation.pods_of(live, change.release, change.manifests))):
        version = live.version
        for pod in observation.pods_without_proxy(live, change.release, change.manifests):
            name = str(pod["metadata"]["name"])
            if name in deleted:
                continue
            try:
                await work.cluster.objects.delete(ObjectRef("v1", "Pod", name, str(pod["metadata"].get("namespace"))))
            except ClusterError:
                continue  # the next change brings another try, and the wait beside this one says what it waits for
            deleted.add(name)
            words = f"deleted pod {name}: it was created before the injector answered (image {INJECTED_IMAGE})"
            work.tell(EventKind.WARNING, words)
        await live.changed(version)


async def _address(work: StepContext[ReleaseStep]) -> str:
    """Wait for a LoadBalancer's address; one that stays out is a warning, for clouds give it in their own time."""
    change, live = work.step.change, work.cluster.live
    balanced = observation.services_of(
        change.release,
        (manifest for manifest in change.manifests if (manifest.get("spec") or {}).get("type") == "LoadBalancer"),
    )
    if not balanced:
        return ""
    service = balanced[0]
    addresses = await wait_for_address(
        live,
        service,
        _address_patience(work),
        lambda: work.tell(EventKind.WAITING, f"an address for Service {service.name}"),
    )
    if addresses:
        work.progress.addresses[change.release.name] = addresses
        return f"at {', '.join(addresses)}"
    found = live.get("Service", service.name, service.namespace)
    words = [str(event.get("message", "")) for event in observation.events_of(live, found)] if found else []
    because = f": {words[-1]}" if words else ""
    work.tell(EventKind.WARNING, f"{service} has no address yet{because}")
    return "no address yet"


def _address_patience(work: StepContext[ReleaseStep]) -> float:
    if work.runtime.waits.address is not None:
        return work.runtime.waits.address
    return 0.0 if work.step.network is Network.PRIVATE else ADDRESS_SECONDS
