"""What a run works with: every command on a cluster is handed one runtime, and hands it on whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from nksmesh.domain.common.events import Listener
from nksmesh.engine.ports import Charts, Cluster, Helm, Processes, RegistryAccess
from nksmesh.engine.waiting import WaitOptions


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The ports of one run, how long it waits, and who hears how it goes on.

    Attributes:
        registries: What opens the image registries; None where images are not looked for.
    """

    cluster: Cluster
    helm: Helm
    charts: Charts
    processes: Processes
    listener: Listener
    waits: WaitOptions = field(default_factory=WaitOptions)
    registries: RegistryAccess | None = None
