"""Findings: what a check has to say, with a next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nksmesh.domain.common.errors import CheckError


class Level(StrEnum):
    """How much a finding matters: a note is for whoever asks for more, a failure ends the run."""

    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result of a check.

    Attributes:
        id: Its rule's stable name, such as ``kube.immutable-field``.
        level: Whether it stops a run.
        message: One sentence: what was found, where.
        hint: One sentence: what to do next; may be empty where there is nothing to do.
        subject: What it is about, such as ``istiod`` or ``values/environments/prod/istiod.yaml``; may be empty.
    """

    id: str = ""
    level: Level
    message: str
    hint: str = ""
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def to_data(self) -> dict[str, str]:
        """Return it as the JSON envelope has it."""
        return {"level": self.level.value, "message": self.message, "hint": self.hint, "subject": self.subject}


def refuse_failures(findings: Iterable[Finding]) -> None:
    """Stop where one of the findings is a failure.

    Raises:
        CheckError: The failures' sentences, with the first one's next step.
    """
    failures = [finding for finding in findings if finding.level is Level.FAILURE]
    if failures:
        raise CheckError("; ".join(failure.message for failure in failures), hint=failures[0].hint)
