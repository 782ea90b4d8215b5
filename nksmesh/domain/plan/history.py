"""The history: what each run that wrote to a mesh did, kept in the cluster, newest runs only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import HIDDEN, data_of, fields_of, known_fields
from nksmesh.domain.mesh.record import Record

HISTORY_VERSION: Final = 1
MOST_RUNS: Final = 20
MOST_EVIDENCE: Final = 4000
"""Characters of a failure's evidence that are kept."""

ROLLBACK: Final = "rollback"
TAKEN_BACK: Final = frozenset({"install", "upgrade"})
"""The commands that write releases and nothing else: what others do has a way back of its own."""


class Outcome(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, kw_only=True)
class ReleaseMove:
    """A release's Helm revision before and after a run.

    Attributes:
        before: The Helm revision that stood before the run; 0 where there was none.
        after: The newest Helm revision after it; 0 where there is none.
    """

    release: Release
    before: int = 0
    after: int = 0

    @property
    def moved(self) -> bool:
        """Whether the run wrote it."""
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run that wrote to a mesh, or set out to.

    Attributes:
        command: ``install``, ``upgrade``, ``rollback``.
        number: Counts the mesh's runs, from 1; 0 until it begins.
        who: ``user@host`` of the machine it ran on.
        account: The user that the kubeconfig names.
        ended: When it ended; None while it runs, or where it was killed.
        from_versions: The Istio versions that were installed before it, none for a new mesh.
        to_version: The Istio version it was to bring.
        values_hash: ``sha256:<hex>`` of the values of all its releases.
        reason: Why it did not end well, in a sentence.
        evidence: What the cluster and Helm said of a failure.
        releases: The mesh's releases and how it moved them.
        before: The record as it was before the run; None where there was none.
        undoes: The numbers of the runs that it took back.
        undone_by: The number of the run that took it back; 0 where none did.
        written_by: The version of nksmesh.
    """

    command: str
    namespace: str
    number: int = 0
    who: str = ""
    account: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    from_versions: tuple[str, ...] = ()
    to_version: str = ""
    values_hash: str = ""
    outcome: Outcome = Outcome.RUNNING
    reason: str = ""
    evidence: str = field(default="", repr=False)
    releases: tuple[ReleaseMove, ...] = ()
    before: Record | None = field(default=None, repr=False, metadata=HIDDEN)
    undoes: tuple[int, ...] = ()
    undone_by: int = 0
    written_by: str = ""

    @property
    def whole(self) -> bool:
        """Whether it reached its end: what it left was proved."""
        return self.outcome is Outcome.DONE

    @property
    def counts(self) -> bool:
        """Whether it can be taken back: it has not been yet, and it was about releases."""
        if self.outcome is Outcome.ROLLED_BACK or self.command == ROLLBACK:
            return False
        return self.command in TAKEN_BACK or any(move.moved for move in self.releases)

    def after(self, revisions: Mapping[tuple[str, str], int]) -> Self:
        """Note the Helm revisions that it left, by (namespace, name)."""
        moves = (replace(move, after=revisions.get(move.release.key, 0)) for move in self.releases)
        return replace(self, releases=tuple(moves))

    def taking_in(self, later: Run) -> Self:
        """Note what a later run that went on with it did first, so that to take this one back takes back both."""
        known = {move.release for move in self.releases}
        return replace(self, releases=(*self.releases, *(move for move in later.releases if move.release not in known)))

    def ending(self, outcome: Outcome, reason: str = "", evidence: str = "") -> Self:
        """Note how it ended; of very long evidence the end is kept, which says most."""
        return replace(self, outcome=outcome, reason=reason, evidence=evidence[-MOST_EVIDENCE:])

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and a moment in ISO 8601, empty where there is none."""
        moments = {"began": self.began, "ended": self.ended}
        return fields_of(self) | {key: moment.isoformat() if moment else "" for key, moment in moments.items()}

    def to_data(self) -> dict[str, Any]:
        """Return the run as it is kept in the cluster."""
        return {**data_of(self), "before": self.before.to_data() if self.before else None}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read a run back; keys that a later nksmesh wrote are passed over.

        Raises:
            KeyError: A key that every run has is missing.
            TypeError: A value is not what it should be.
            ValueError: The same.
        """
        return cls(
            **{
                **known_fields(cls, data),
                "began": _moment(data.get("began", "")),
                "ended": _moment(data.get("ended", "")),
                "from_versions": tuple(data.get("from_versions", ())),
                "outcome": Outcome(data["outcome"]),
                "releases": tuple(map(_move, data.get("releases", ()))),
                "before": Record.from_data(data["before"]) if data.get("before") else None,
                "undoes": tuple(data.get("undoes", ())),
            }
        )


@dataclass(frozen=True, kw_only=True)
class History:
    """The runs of one mesh.

    Attributes:
        runs: Its newest runs, oldest first.
    """

    namespace: str
    runs: tuple[Run, ...] = ()

    def of(self, number: int) -> Run | None:
        """Return the run with a number."""
        return next((run for run in self.runs if run.number == number), None)

    @property
    def unproved(self) -> tuple[Run, ...]:
        """The last run that counts and, where those before it did not reach their end, they as well; oldest first.

        What such a run left was never proved, and the next one only went on with it.
        """
        runs = [run for run in self.runs if run.counts]
        first = len(runs) - 1
        while first > 0 and not runs[first - 1].whole:
            first -= 1
        return tuple(runs[max(first, 0) :])

    @property
    def next_number(self) -> int:
        """The number that the next run gets."""
        return max((run.number for run in self.runs), default=0) + 1

    def begun(self, run: Run) -> Self:
        """Take in a run that begins, whose number is ``next_number``.

        It holds the mesh, so whatever run still counts as running is dead; where the new one begins, that one ended.
        """
        found = {move.release.key: move.before for move in run.releases}

        def now(past: Run) -> Run:
            if past.outcome is not Outcome.RUNNING:
                return past
            words = "it ended without a word: killed, or cut off from the cluster"
            return past.after(found).ending(Outcome.INTERRUPTED, words)

        kept = replace(self, runs=(*map(now, self.runs), run))
        while len(kept.runs) > MOST_RUNS:
            kept = kept.without_oldest()
        return kept

    def ended(self, run: Run) -> Self:
        """Take in how a run ended; one that went well took back what it set out to."""
        undone = run.undoes if run.whole else ()

        def now(past: Run) -> Run:
            if (past.number, past.began) == (run.number, run.began):
                return run
            return replace(past, outcome=Outcome.ROLLED_BACK, undone_by=run.number) if past.number in undone else past

        return replace(self, runs=tuple(map(now, self.runs)))

    def without_oldest(self) -> Self:
        """Leave out the oldest run; of a single one, what is not needed to tell of it.

        What fails again and again, as a pipeline's job that is tried anew each hour, would push out the run that knows
        what stood before it all: the one after that goes instead.
        """
        if len(self.runs) <= 1:
            return replace(self, runs=tuple(replace(run, before=None, evidence="") for run in self.runs))
        oldest, second, *others = self.runs
        if not others or oldest not in self.unproved:
            return replace(self, runs=(second, *others))
        return replace(self, runs=(oldest.taking_in(second) if second.counts else oldest, *others))


def _move(data: Mapping[str, Any]) -> ReleaseMove:
    release = Release(**known_fields(Release, data["release"]))
    return ReleaseMove(release=release, before=int(data["before"]), after=int(data["after"]))


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
