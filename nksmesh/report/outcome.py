"""What came of a plan's steps: the same for every command that carries a plan out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from nksmesh.domain.common.durations import spoken
from nksmesh.engine.executor.step_context import StepOutcome
from nksmesh.report.layout import FAINT, gap, rows

if TYPE_CHECKING:
    from rich.console import Console


def show_outcomes(outcomes: Sequence[StepOutcome], console: Console) -> None:
    """Show each step that was done, how long it took, and what was proved."""
    gap(console)
    rows(
        console,
        ["step", "action", "took", "result"],
        [(one.step.name, one.step.action.value, spoken(one.seconds), one.message) for one in outcomes],
    )


def show_addresses(addresses: Mapping[str, Sequence[str]], console: Console) -> None:
    """Show where gateways are reached; nothing where none has a LoadBalancer."""
    if not addresses:
        return
    gap(console)
    rows(
        console,
        ["gateway", "address"],
        [(name, ", ".join(found) or Text("pending", style=FAINT)) for name, found in addresses.items()],
    )
