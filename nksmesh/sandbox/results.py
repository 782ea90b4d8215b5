"""What the commands of a sandbox return."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from nksmesh.domain.common.data import rounded

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


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """How a sandbox is: crashed where any part is."""

    name: str
    state: State
    kubeconfig: Path
    context: str
    server: str
    parts: tuple[PartStatus, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxStarted:
    """What ``up`` did: the parts it started (none: all ran already), and how long it took, in seconds."""

    name: str
    kubeconfig: Path
    context: str
    server: str
    started: tuple[Part, ...]
    seconds: float = field(metadata=rounded(2))
