"""Findings: what a check has to say, with a next step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import CheckError, ClusterError, MeshError


class Level(StrEnum):
    """How much a finding matters: a note is for whoever asks for more, a failure ends the run."""

    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result of a check.

    Attributes:
        id: Its rule's stable name, ``GROUP.NAME``, such as ``kube.immutable-field``; docs/findings.md lists them.
        message: One sentence: what was found, where.
        hint: One sentence: what to do next; may be empty where there is nothing to do.
        subject: What it is about, such as ``istiod`` or ``values/environments/prod/istiod.yaml``; may be empty.
        detail: Of a failure: what else there is to say, a line each.
        error: Of a failure: the error that it ends a run with, which has the exit code.
    """

    id: str = field(metadata=HIDDEN)
    level: Level = Level.FAILURE
    message: str
    hint: str = ""
    subject: str = ""
    detail: str = field(default="", metadata=HIDDEN)
    error: type[MeshError] = field(default=CheckError, metadata=HIDDEN)

    @property
    def group(self) -> str:
        """What its rule is about, such as ``kube``: the first part of its name."""
        return self.id.partition(".")[0]

    def as_error(self) -> MeshError:
        """Return the error that a failure ends a run with."""
        return self.error(self.message, hint=self.hint, detail=self.detail)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Blocker(Protocol):
    """What a cluster has that a run must not write over, in words."""

    @property
    def way_on(self) -> str:
        """What to do about it."""


def blocked_by(rule: str, blockers: Sequence[Blocker]) -> tuple[Finding, ...]:
    """Judge a run that would write over something: a failure with the first, and the others in its detail."""
    return tuple(
        Finding(
            id=rule,
            message=f"{first}; nothing was changed",
            hint=first.way_on,
            detail="\n".join(map(str, blockers[1:])),
            error=ClusterError,
        )
        for first in blockers[:1]
    )


def warnings_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the warnings among findings, a sentence and its hint each."""
    return tuple(str(finding) for finding in findings if finding.level is Level.WARNING)


def has_failure(findings: Iterable[Finding]) -> bool:
    """Tell whether one of the findings is a failure."""
    return any(finding.level is Level.FAILURE for finding in findings)


def refuse_failures(findings: Iterable[Finding]) -> None:
    """Stop where one of the findings is a failure.

    Raises:
        MeshError: The first failure's own error and next step, with the sentences of all that end a run as it does.
    """
    failures = [finding for finding in findings if finding.level is Level.FAILURE]
    if failures:
        first = failures[0]
        alike = [failure for failure in failures if failure.error is first.error]
        detail = "\n".join(dict.fromkeys(failure.detail for failure in alike if failure.detail))
        message = "; ".join(dict.fromkeys(failure.message for failure in alike))  # one registry fails all its images
        raise first.error(message, hint=first.hint, detail=detail)
