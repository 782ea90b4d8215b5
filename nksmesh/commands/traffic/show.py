"""``nksmesh traffic show``: what recipes stand on Services, and the split that really happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nksmesh.domain.common.data import rounded
from nksmesh.domain.common.errors import CheckError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.domain.common.findings import Finding, refuse_failures, warnings_of
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.traffic.callers import callers_among, version_by_address
from nksmesh.domain.traffic.envoy import grown
from nksmesh.domain.traffic.recipes import NAMESPACE, TRAFFIC_OF, Applied, Recipe, applied_to
from nksmesh.domain.traffic.rules import check_owners, check_place, check_rivals
from nksmesh.domain.traffic.split import VersionSplit, split_of, weights_of
from nksmesh.domain.traffic.surroundings import Surroundings, Version, labels_of
from nksmesh.engine.ports import Cluster
from nksmesh.engine.traffic import Proxies, Reading, read_proxies, read_surroundings

_STEP = "callers"


@dataclass(frozen=True, kw_only=True)
class CallerSplit:
    """What one caller sent to the Service in the time, over all versions."""

    namespace: str
    pod: str
    requests: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class LiveSplit:
    """What callers' proxies counted between two looks.

    Attributes:
        seconds: How long was waited between the looks.
        proxies: How many proxies were asked.
        callers: Those that sent requests.
    """

    seconds: float = field(metadata=rounded(3))
    proxies: int
    versions: tuple[VersionSplit, ...]
    callers: tuple[CallerSplit, ...]

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(version.requests for version in self.versions)


@dataclass(frozen=True, kw_only=True)
class ServiceTraffic:
    """What stands on one Service, or on a namespace (``*``).

    Attributes:
        objects: The objects that the recipes made.
    """

    service: str
    recipes: tuple[Applied, ...]
    objects: tuple[ObjectRef, ...]
    versions: tuple[Version, ...]


@dataclass(frozen=True, kw_only=True)
class TrafficShown:
    """What stands on the Services of a namespace.

    Attributes:
        live: What was counted, where that was asked for.
    """

    namespace: str
    services: tuple[ServiceTraffic, ...]
    findings: tuple[Finding, ...] = ()
    live: LiveSplit | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.findings)


async def show_traffic(
    service: str,
    namespace: str,
    recipes: Mapping[str, Recipe],
    cluster: Cluster,
    *,
    seconds: float | None = None,
    listener: Listener = unheard,
) -> TrafficShown:
    """Show what stands on a Service, or on all of a namespace that something stands on.

    Args:
        service: The Service's name; ``*`` for the namespace; empty for all.
        seconds: How long requests are counted; None where they are not.

    Raises:
        ConfigError: There is no such namespace or Service, or an annotation cannot be read.
        CheckError: Requests are to be counted, and no pod has a proxy.
        ClusterError: The cluster cannot be reached or refuses, or no proxy answers.
    """
    everywhere = seconds is not None
    read = await read_surroundings(cluster, service or NAMESPACE, namespace, everywhere=everywhere)
    left_behind = not everywhere and read.around.made  # of a Service that is gone
    refuse_failures(() if left_behind else tuple(check_place(read.around, read.services)))
    if not service:
        return TrafficShown(namespace=namespace, services=tuple(_all_of(read.around, recipes)))
    shown = _service(read.around, recipes)
    made = read.around.made
    findings = (*check_owners(read.around, made, written=False), *check_rivals(read.around, made, written=False))
    if seconds is None:
        return TrafficShown(namespace=namespace, services=(shown,), findings=findings)
    live, silent = await _count(read.around, shown, cluster, seconds, listener)
    return TrafficShown(
        namespace=namespace, services=(shown,), findings=(*findings, *read.findings, *silent), live=live
    )


def _service(around: Surroundings, recipes: Mapping[str, Recipe]) -> ServiceTraffic:
    return ServiceTraffic(
        service=around.service,
        recipes=applied_to(around.made, recipes),
        objects=tuple(map(ref_of, around.made)),
        versions=around.versions,
    )


def _all_of(around: Surroundings, recipes: Mapping[str, Recipe]) -> list[ServiceTraffic]:
    """Group the namespace's objects by what they are for."""
    groups: dict[str, list[Manifest]] = {}
    for manifest in around.objects:
        label = labels_of(manifest).get(TRAFFIC_OF)
        if label is not None and manifest["metadata"].get("namespace") == around.namespace:
            groups.setdefault(label or NAMESPACE, []).append(manifest)
    return [
        ServiceTraffic(service=name, recipes=applied_to(some, recipes), objects=tuple(map(ref_of, some)), versions=())
        for name, some in sorted(groups.items())
    ]


async def _count(
    around: Surroundings, shown: ServiceTraffic, cluster: Cluster, seconds: float, listener: Listener
) -> tuple[LiveSplit, tuple[Finding, ...]]:
    """Ask every proxy twice, and say what it has counted in between."""
    service, namespace = around.service, around.namespace
    callers = callers_among(around.pods)
    if not callers:
        raise CheckError(
            "no pod of the cluster has a proxy, so nobody counts requests",
            hint=f"Run nksmesh inject enable {namespace} --restart.",
        )
    async with Proxies(cluster.pods) as proxies:
        before = await read_proxies(proxies, callers, service, namespace)
        message = f"{len(before.counted)} proxies count for {seconds:g} s"
        listener(Event(step=_STEP, kind=EventKind.PROGRESS, message=message))
        await asyncio.sleep(seconds)
        after, listed = await asyncio.gather(
            read_proxies(proxies, before.counted, service, namespace),
            cluster.objects.list("v1", "Pod", namespace),  # some may have come or gone meanwhile
        )
    pods = tuple(listed)
    versions = {**version_by_address(replace(around, pods=pods).own_pods), **version_by_address(around.own_pods)}
    counted = {caller: grown(before.counted[caller], counts) for caller, counts in after.counted.items()}
    totals = [
        CallerSplit(
            namespace=caller.namespace,
            pod=caller.pod,
            requests=sum(counts.rq_total for counts in endpoints.values()),
            errors=sum(counts.rq_error for counts in endpoints.values()),
        )
        for caller, endpoints in sorted(counted.items())
    ]
    live = LiveSplit(
        seconds=seconds,
        proxies=len(callers),
        versions=split_of(counted.values(), versions, weights_of(shown.recipes)),
        callers=tuple(total for total in totals if total.requests),
    )
    return live, Reading(silent={**before.silent, **after.silent}).findings
