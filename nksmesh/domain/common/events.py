"""What a run says while it goes on: one event for each thing a reader would want to know.

Workflows and the sandbox emit events; ``nksmesh.report`` alone shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class EventKind(StrEnum):
    """How an event changes its step."""

    STARTED = "started"
    WAITING = "waiting"
    WARNING = "warning"
    NOTE = "note"
    PROGRESS = "progress"
    DONE = "done"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a step.

    Attributes:
        step: The step's title, such as ``istiod`` or ``build kube-apiserver``.
        message: A sentence without a full stop; empty where the kind says it all.
        names: The objects that the message only counts, for ``-v``.
    """

    step: str
    kind: EventKind
    message: str = ""
    names: tuple[str, ...] = ()


Listener: TypeAlias = Callable[[Event], None]


def unheard(_event: Event) -> None:
    """Listen to nothing: for callers that have nobody to tell."""
