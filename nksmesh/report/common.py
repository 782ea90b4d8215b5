"""What several commands show alike: what came of a plan's steps, and that there is no mesh of nksmesh's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from nksmesh.domain.common.durations import spoken
from nksmesh.report.layout import DOUBTFUL, FAINT, gap, rows, sentence

if TYPE_CHECKING:
    from rich.console import Console

    from nksmesh.engine.discovery import Installation
    from nksmesh.engine.executor.step_context import StepOutcome


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


def without_mesh(console: Console, installation: Installation, otherwise: str) -> None:
    """Name the istiods of other tools, and what a user can do; where there are none, say something else.

    Args:
        installation: What was found, without a release.
        otherwise: What is said where no other tool has an istiod, either.
    """
    if installation.unseen:
        sentence(console, f"A mesh is in {installation.namespace}, and Helm shows no release of it here.", DOUBTFUL)
    elif not installation.foreign:
        sentence(console, otherwise)
    for istiod in installation.foreign:
        sentence(console, f"{istiod}. nksmesh did not install it and does not change it.", DOUBTFUL)
        sentence(console, istiod.way_on)
