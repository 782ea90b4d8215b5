"""A rule, and what comes of it: every rule says something, also where all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.common.findings import Finding, Level

_ODD: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What a rule raises on an object that does not have the form that Kubernetes gives it."""


class Status(StrEnum):
    """How a rule came out."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of ``nksmesh check``.

    Attributes:
        id: Its stable name, ``GROUP.NAME``; its findings have it, too.
        passed: What is so where it finds nothing: a sentence without a full stop.
        judge: Looks at the facts that it needs.
        needs: The facts without which it cannot tell.
        on_install: What writes a mesh is held to it, before its first write.
    """

    id: str
    passed: str
    judge: Callable[[ClusterFacts], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    on_install: bool = False


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What came of one rule about one thing.

    Attributes:
        hint: What to do, with the command that does it; empty where nothing is to be done.
    """

    id: str
    status: Status
    message: str
    hint: str = ""


def checked(finding: Finding) -> Checked:
    """Take a finding for what came of its rule; a note is no reason to do anything."""
    status = {Level.FAILURE: Status.FAILURE, Level.WARNING: Status.WARNING, Level.NOTE: Status.OK}[finding.level]
    return Checked(id=finding.id, status=status, message=finding.message, hint=finding.hint)


def found_by(rule: Rule, facts: ClusterFacts) -> tuple[tuple[Finding, ...], str]:
    """Return what a rule finds, and why it could not look at an object of an odd form; empty where it could."""
    try:
        return tuple(rule.judge(facts)), ""
    except _ODD as error:
        return (), f"an object does not have the expected form ({type(error).__name__}: {error})"


def judge(rules: Iterable[Rule], facts: ClusterFacts) -> Iterator[Checked]:
    """Judge facts by rules, in the rules' order; one whose facts could not be had says so."""
    for rule in rules:
        lacking = [name for name in rule.needs if getattr(facts, name) is None]
        unknown = next((facts.unknown[name] for name in lacking if name in facts.unknown), "")
        if lacking and not unknown:
            continue
        found, why = ((), unknown) if lacking else found_by(rule, facts)
        yield from map(checked, found)
        if why:
            yield Checked(id=rule.id, status=Status.WARNING, message=f"not checked: {why}")
        elif not found:
            yield Checked(id=rule.id, status=Status.OK, message=rule.passed)
