"""``nksmesh addons expose``: a load balancer that leads to an add-on's pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nksmesh.domain.addons.addons import KIALI, Addon, check_exposable, check_place, check_public, exposing_service
from nksmesh.domain.addons.dashboards import DASHBOARDS
from nksmesh.domain.common.errors import NotReadyError, ReleaseError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query, ref_of
from nksmesh.domain.kube.services import tcp_ports
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE
from nksmesh.domain.plan.load_balancers import check_live_service
from nksmesh.engine.load_balancers import wait_for_address
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.samples import ObjectsPlan, ObjectsResult, follow_plan, plan_applying


@dataclass(frozen=True, kw_only=True)
class ExposePlan(ObjectsPlan):
    """What exposing an add-on would do.

    Attributes:
        public: Its address is a public one.
    """

    addon: str
    service: str
    public: bool

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""
        return "addons expose would now do", "changed"

    @property
    def empty(self) -> bool:
        """Never: the address is at least waited for."""
        return False


@dataclass(frozen=True, kw_only=True)
class ExposeResult(ObjectsResult[ExposePlan]):
    """What came of it.

    Attributes:
        url: Where its page is; empty where the load balancer has no address yet.
    """

    url: str = ""

    @property
    def exit_code(self) -> int:
        """6 where the load balancer has no address in time, else 0."""
        return NotReadyError.exit_code if self.agreed and not self.url else 0


@dataclass(frozen=True, kw_only=True)
class ExposeOrder:
    """What is asked for.

    Attributes:
        namespace: The namespace that was asked for; empty for the add-ons' own.
        public: A public address is wanted.
    """

    addon: Addon
    namespace: str = ""
    public: bool = False


async def plan_expose(order: ExposeOrder, runtime: Runtime) -> ExposePlan:
    """See what exposing an add-on would do; nothing is written.

    Raises:
        ConfigError: The add-on has no pages, or is not there.
        CheckError: The address would be public, and everyone could use the add-on.
        ClusterError: The Service is somebody else's; or the cluster cannot be reached, or refuses.
    """
    addon, objects = order.addon, runtime.cluster.objects
    refuse_failures(check_place(order.namespace, {}))
    found = await objects.get(addon.service) if addon.service else None
    refuse_failures(check_exposable(addon, found))
    if order.public:
        config, workload = await asyncio.gather(
            objects.get(ObjectRef("v1", "ConfigMap", KIALI, ISTIO_NAMESPACE)), objects.get(addon.ref)
        )
        refuse_failures(check_public(addon, _settings(config, runtime), workload))
    service = exposing_service(addon, found or {}, public=order.public)
    ref = ref_of(service)
    plan, live = await asyncio.gather(plan_applying(addon, [service], runtime.cluster), objects.get(ref))
    return ExposePlan(
        addon=addon.name,
        service=ref.name,
        public=order.public,
        steps=plan.steps,
        findings=(*plan.findings, *(check_live_service(live, service, ISTIO_NAMESPACE) if live else ())),
    )


async def expose(shown: ExposePlan, order: ExposeOrder, runtime: Runtime) -> ExposeResult:
    """Do what was shown, and wait for the address.

    Raises:
        MeshError: As ``follow_plan`` says.
    """
    command = f"addons expose {shown.addon}"
    plan, progress = await follow_plan(shown, lambda quiet: plan_expose(order, quiet), runtime, command)
    live, ref = runtime.cluster.live, ObjectRef("v1", "Service", plan.service, ISTIO_NAMESPACE)
    new = await live.follow([Query("v1", "Service", ref.namespace, fields=f"metadata.name={ref.name}")])

    def waits() -> None:
        runtime.listener(Event(step=plan.service, kind=EventKind.WAITING, message="an address of the load balancer"))

    try:
        addresses = await wait_for_address(live, ref, runtime.waits.component, waits)
        ports = tcp_ports(live.get(ref.kind, ref.name, ref.namespace) or {})
    finally:
        await live.unfollow(new)
    path = DASHBOARDS[plan.addon].path
    url = f"http://{addresses[0]}:{ports[0].number}{path}" if addresses and ports else ""
    return ExposeResult(plan=plan, progress=progress, url=url)


def _settings(config: Manifest | None, runtime: Runtime) -> Mapping[str, Any] | None:
    """Read Kiali's settings, a YAML text in its ConfigMap; None where they cannot be read."""
    text = ((config or {}).get("data") or {}).get("config.yaml")
    try:
        (settings,) = runtime.helm.parse(str(text or ""))
    except (ReleaseError, ValueError):
        return None
    return settings
