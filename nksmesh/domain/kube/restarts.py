"""What came of restarting workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nksmesh.domain.common.data import HIDDEN, MERGED, rounded
from nksmesh.domain.common.errors import MeshError
from nksmesh.domain.kube.workloads import Workload


class Outcome(StrEnum):
    """What came of one workload."""

    RESTARTED = "restarted"
    """It is rolled out, on the wanted proxy."""
    OTHER_PROXY = "other proxy"
    """It is rolled out, and its pods still run another proxy than the wanted one."""
    HELD_BACK = "held back"
    """A disruption budget, or a rollout that is not finished, did not let it be restarted."""
    NOT_RESTARTABLE = "not restartable"
    """It is of a kind, or in a state, that no restart is for."""
    FAILED = "failed"
    """Its rollout did not become ready, or the API server refused it."""
    NOT_BEGUN = "not begun"
    """Another one failed before it."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    """What came of one workload.

    Attributes:
        workload: The workload, as it was before.
        message: What was proved, or why it was not restarted.
        seconds: How long its rollout took; 0 where there was none.
        error: Why it failed, with what to do next.
    """

    workload: Workload = field(metadata=MERGED)
    outcome: Outcome
    message: str
    seconds: float = field(default=0.0, metadata=rounded(1))
    error: MeshError | None = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True, kw_only=True)
class RestartResult:
    """What came of all of them, in the order in which it was decided.

    Attributes:
        restarts: One for each workload.
    """

    restarts: tuple[Restart, ...] = ()

    def of(self, *outcomes: Outcome) -> tuple[Restart, ...]:
        """Return those with one of these outcomes."""
        return tuple(restart for restart in self.restarts if restart.outcome in outcomes)

    @property
    def complete(self) -> bool:
        """Whether every one was restarted, on the wanted proxy."""
        return len(self.of(Outcome.RESTARTED)) == len(self.restarts)

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What failed; the envelope's status is ``partial`` with it."""
        return tuple(restart.error for restart in self.restarts if restart.error is not None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each that still runs its old proxy, though nothing failed."""
        outcomes = (Outcome.OTHER_PROXY, Outcome.HELD_BACK, Outcome.NOT_RESTARTABLE, Outcome.NOT_BEGUN)
        return tuple(
            f"{restart.workload} was not restarted: {restart.message}"
            if restart.outcome is not Outcome.OTHER_PROXY
            else f"{restart.workload}: {restart.message}"
            for restart in self.of(*outcomes)
        )

    def json_form(self) -> Mapping[str, Any]:
        """Return what JSON has: whether it is complete comes first."""
        return {"complete": self.complete, "restarts": self.restarts}
