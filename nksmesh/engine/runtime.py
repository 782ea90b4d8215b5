"""What a run works with: every command on a cluster is handed one runtime, and hands it on whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from nksmesh.domain.common.events import Listener
from nksmesh.engine.ports import Charts, Cluster, Helm, Processes, Registries
from nksmesh.engine.waiting import WaitOptions

OpenRegistries: TypeAlias = Callable[[str], AbstractAsyncContextManager[Registries]]
"""Opens the image registries, given the mesh's hub."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The ports of one run, how long it waits, and who hears how it goes on.

    Attributes:
        registries: Opens the image registries, given the mesh's hub; None where images are not looked for.
    """

    cluster: Cluster
    helm: Helm
    charts: Charts
    processes: Processes
    listener: Listener
    waits: WaitOptions = field(default_factory=WaitOptions)
    registries: OpenRegistries | None = None
