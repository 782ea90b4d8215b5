"""What the commands of a sandbox return."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nksmesh.domain.common.data import rounded
from nksmesh.sandbox.control_plane import Part


class State(StrEnum):
    """How a part, or a whole sandbox, is."""

    RUNNING = "running"
    CRASHED = "crashed"
    STOPPED = "stopped"
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """How one part is; ``log_tail`` is empty unless it crashed."""

    part: Part
    state: State
    pid: int | None
    log: Path
    log_tail: str = ""


@dataclass(frozen=True, kw_only=True)
class PlayedImage:
    """An image that containers have, and what runs in these: itself, a small server, or nothing."""

    image: str
    kind: str
    containers: int


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Where on this machine a load balancer's address answers, each as host and port."""

    address: str
    relay: str


@dataclass(frozen=True, kw_only=True)
class DataPlaneStatus:
    """What a data plane has.

    Attributes:
        control_plane: The version of the istiod that runs, whatever its chart's; empty where none does.
    """

    control_plane: str
    images: tuple[PlayedImage, ...]
    relays: tuple[Relay, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """How a sandbox is: crashed where any part is.

    Attributes:
        kubernetes: Its release, such as 1.34.4.
        registry: The host of its registry, as images name it; empty where it has none.
        docker_config: The folder with the login to that registry, as DOCKER_CONFIG names one.
        data_plane: None where it has none.
    """

    name: str
    state: State
    kubeconfig: Path
    context: str
    server: str
    kubernetes: str
    registry: str
    docker_config: Path
    data_plane: DataPlaneStatus | None
    parts: tuple[PartStatus, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxStarted:
    """What ``up`` did: the parts it started (none: all ran already), and how long it took, in seconds."""

    name: str
    kubeconfig: Path
    context: str
    server: str
    kubernetes: str
    registry: str
    docker_config: Path
    data_plane: bool
    started: tuple[Part, ...]
    seconds: float = field(metadata=rounded(2))


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """How the sandboxes of this machine are."""

    sandboxes: tuple[SandboxStatus, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxStopped:
    """What ``down`` did: whether anything ran."""

    name: str
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What ``delete`` did: whether there was anything."""

    name: str
    existed: bool


@dataclass(frozen=True, kw_only=True)
class FailuresEnded:
    """What ``heal`` did: how many staged failures it ended."""

    name: str
    ended: int


@dataclass(frozen=True, kw_only=True)
class Built:
    """Where the programs are that ``build`` built, or found in the cache."""

    programs: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class PackagedChart:
    """A chart's archive that ``charts`` wrote."""

    file: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class PackagedCharts:
    """What ``charts`` wrote: the charts of the data plane's istiod.

    Attributes:
        version: The version that the charts, and istiod, call themselves.
        samples: Where Istio's samples are; None where they were not asked for.
    """

    folder: Path
    version: str
    charts: tuple[PackagedChart, ...]
    samples: Path | None = None
