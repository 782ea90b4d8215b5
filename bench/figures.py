"""What is measured: pairs, or single figures, against a target."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Two things measured in turn, whose ratio has a target.

    Attributes:
        name: The row that ``--only`` names.
        what: What it says in the table.
        ours: Seconds of nksmesh, a run each.
        theirs: Seconds of what it is measured against, in the same order.
        target: The greatest ratio that is good enough; None where the ratio is only shown.
    """

    name: str
    what: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    target: float | None

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each pair: what drifts between pairs does not enter it."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def value(self) -> float:
        """The median ratio."""
        return median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.value <= self.target

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        return (
            self.what,
            f"{median(self.ours):.3g} s",
            f"{median(self.theirs):.3g} s",
            f"{self.value:.2f}",
            f"{min(self.ratios):.2f} to {max(self.ratios):.2f}",
            "" if self.target is None else f"<= {self.target:.2f}",
            verdict(reached=self.reached),
        )

    def to_data(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": "ratio",
            "value": self.value,
            "target": self.target,
            "reached": self.reached,
            "ours_seconds": list(self.ours),
            "theirs_seconds": list(self.theirs),
            "ratios": list(self.ratios),
        }


@dataclass(frozen=True, kw_only=True)
class Singles:
    """One thing measured several times, which has a target of its own.

    Attributes:
        name: The row that ``--only`` names.
        what: What it says in the table.
        figures: The figures, a run each.
        unit: Their unit.
        target: The greatest figure that is good enough.
    """

    name: str
    what: str
    figures: tuple[float, ...]
    unit: str
    target: float

    @property
    def value(self) -> float:
        """The median."""
        return median(self.figures)

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.target

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        unit = self.unit
        return (
            self.what,
            f"{self.value:.3g} {unit}",
            "",
            "",
            f"{min(self.figures):.3g} to {max(self.figures):.3g} {unit}",
            f"<= {self.target:g} {unit}",
            verdict(reached=self.reached),
        )

    def to_data(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "target": self.target,
            "reached": self.reached,
            "figures": list(self.figures),
        }


Row = Pairs | Singles


def verdict(*, reached: bool | None) -> str:
    """Say how a row came out."""
    return {True: "reached", False: "MISSED", None: ""}[reached]
