"""The Services of load balancers, before a plan is followed: those that change, and those that go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.plan.load_balancers import check_live_service, leaving_service, services_in
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.observation import services_of
from nksmesh.engine.ports import Cluster, Helm


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
