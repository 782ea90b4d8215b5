"""The Services of load balancers: those that a plan changes, those that go, and the address that one gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import ObjectRef, ref_of
from nksmesh.domain.kube.readiness import addresses_of
from nksmesh.domain.plan.load_balancers import check_live_service, leaving_service, services_in
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.observation import services_of
from nksmesh.engine.ports import Cluster, Helm, Live


async def survey_load_balancers(
    changes: Iterable[ReleaseChange], going: Mapping[Release, InstalledRelease], cluster: Cluster, helm: Helm
) -> tuple[Finding, ...]:
    """Compare the Services that would be written with those that are there, and look at those that would go.

    Args:
        going: The releases that are removed, as Helm has them.
        cluster: The cluster, whose live view follows the Services of the changes.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    findings: list[Finding] = []
    leaving = {
        ref: f"release {release.name} is removed"
        for release, stored in going.items()
        for ref in services_of(release, helm.parse(stored.manifest))
    }
    for change in changes:
        if not change.reasons:
            continue
        planned = {ref_of(service, change.release.namespace): service for service in services_in(change)}
        for ref, service in planned.items():
            live = cluster.live.get(ref.kind, ref.name, ref.namespace)
            findings += check_live_service(live, service, change.release.namespace) if live else ()
        before = helm.parse(change.installed.manifest) if change.installed else ()
        why = f"release {change.release.name} no longer has the Service"
        leaving |= {ref: why for ref in services_of(change.release, before) if ref not in planned}
    found = await cluster.objects.get_all(leaving) if leaving else {}
    gone = (leaving_service(live, ref, leaving[ref]) for ref, live in found.items() if live)
    return (*findings, *(finding for some in gone for finding in some))


async def wait_for_address(live: Live, service: ObjectRef, seconds: float, told: Callable[[], None]) -> tuple[str, ...]:
    """Wait until a followed Service has addresses, or the time is over: then there are none.

    Args:
        told: Called once, when it has to be waited for.
    """
    clock = asyncio.get_running_loop().time
    deadline, waiting = clock() + seconds, False
    while True:
        version = live.version
        addresses = addresses_of(live.get(service.kind, service.name, service.namespace))
        if addresses or clock() >= deadline:
            return addresses
        if not waiting:
            waiting = True
            told()
        await live.changed(version, deadline - clock())
