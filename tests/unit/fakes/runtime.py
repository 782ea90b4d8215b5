"""A runtime of fakes."""

from __future__ import annotations

from nksmesh.domain.common.events import Listener
from nksmesh.engine.ports import Charts, Cluster, Helm, Processes
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import WaitOptions
from tests.unit.fakes.cluster import FakeCharts, FakeHelm, FakeProcesses
from tests.unit.fakes.registries import Table


def runtime_of(
    cluster: Cluster,
    *,
    helm: Helm | None = None,
    charts: Charts | None = None,
    processes: Processes | None = None,
    waits: WaitOptions | None = None,
    listener: Listener = lambda _: None,
    registries: Table | None = None,
) -> Runtime:
    return Runtime(
        cluster=cluster,
        helm=helm or FakeHelm(),
        charts=charts or FakeCharts(),
        processes=processes or FakeProcesses(),
        waits=waits or WaitOptions(),
        listener=listener,
        registries=registries,
    )
