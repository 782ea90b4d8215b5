"""What the commands of a sandbox return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

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

    def to_data(self) -> dict[str, Any]:
        """The part as JSON could hold it."""
        return {
            "part": str(self.part),
            "state": str(self.state),
            "pid": self.pid,
            "log": str(self.log),
            "log_tail": self.log_tail,
        }


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """How a sandbox is: crashed where any part is."""

    name: str
    state: State
    kubeconfig: Path
    context: str
    server: str
    parts: tuple[PartStatus, ...]

    def to_data(self) -> dict[str, Any]:
        """The status as JSON could hold it."""
        return {
            "name": self.name,
            "state": str(self.state),
            "kubeconfig": str(self.kubeconfig),
            "context": self.context,
            "server": self.server,
            "parts": [part.to_data() for part in self.parts],
        }


@dataclass(frozen=True, kw_only=True)
class SandboxStarted:
    """What ``up`` did: the parts it started (none: all ran already), and how long it took, in seconds."""

    name: str
    kubeconfig: Path
    context: str
    server: str
    started: tuple[Part, ...]
    seconds: float

    def to_data(self) -> dict[str, Any]:
        """The result as JSON could hold it."""
        return {
            "name": self.name,
            "kubeconfig": str(self.kubeconfig),
            "context": self.context,
            "server": self.server,
            "started": [str(part) for part in self.started],
            "seconds": round(self.seconds, 2),
        }
