"""How ``nksmesh guide`` looks: on a terminal, and as Markdown."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from rich.console import Console

from nksmesh.commands.guide import GuidePlan, GuideResult, Walked
from nksmesh.domain.common.spelling import counted
from nksmesh.report.envelope import warnings_of
from nksmesh.report.layout import BAD, FAINT, GOOD, facts, gap, rows, sentence
from nksmesh.report.redaction import redact
from nksmesh.report.text import renders, show

_COLUMNS: Final = 120
"""Of the output in Markdown."""


@renders(GuidePlan)
def _plan(plan: GuidePlan, console: Console, _verbose: bool) -> None:
    what = "Remove what the guide has made" if plan.undo else "The NKS guide, from the first step to the last"
    sentence(console, what, "bold")
    _place(plan, console)
    gap(console)
    for number, step in enumerate(plan.steps, 1):
        sentence(console, f"{number}. {step.title}")
        sentence(console, f"   {step.line}", FAINT)


@renders(GuideResult)
def _result(result: GuideResult, console: Console, _verbose: bool) -> str | None:
    if not result.agreed:
        sentence(console, "Nothing was changed.")
        return None
    if result.plan.empty:
        sentence(console, "Nothing of the guide is there.")
        return None
    if result.printed:
        return redact("\n".join(_markdown(result)))
    gap(console)
    rows(
        console,
        ["step", "command", "proved"],
        [(str(number), walked.step.line, walked.proof or "no") for number, walked in enumerate(result.walked, 1)],
    )
    gap(console)
    _ending(result, console)
    return None


def _place(plan: GuidePlan, console: Console) -> None:
    facts(console, [("context", plan.context), ("API server", plan.server), ("namespace", plan.namespace)])


def _ending(result: GuideResult, console: Console) -> None:
    if result.stopped is None:
        sentence(console, _summary(result), GOOD)
    else:
        sentence(console, _summary(result), BAD)
        for step in result.remaining:
            sentence(console, f"  not run: {step.line}", FAINT)
    if not result.plan.undo:
        sentence(console, "To remove what the guide has made: nksmesh guide --undo")


def _summary(result: GuideResult) -> str:
    if result.stopped is not None:
        step = f"step {len(result.walked)} of {len(result.plan.steps)}"
        return f"The guide stopped at {step}: {result.stopped.step.title}"
    steps = counted(len(result.walked), "step is", "steps are")
    return f"What the guide has made is gone: {steps} proved" if result.plan.undo else f"The guide: {steps} proved"


def _markdown(result: GuideResult) -> Iterator[str]:
    """Write a walk as a document: each step's title, its command with the output, and what that proved."""
    plan = result.plan
    yield "# The NKS guide with nksmesh\n" if not plan.undo else "# The NKS guide, taken back\n"
    yield f"Context `{plan.context}`, API server `{plan.server}`, namespace `{plan.namespace}`.\n"
    for number, walked in enumerate(result.walked, 1):
        yield f"## {number}. {walked.step.title}\n"
        if walked.step.instead_of:
            yield f"In the guide: `{walked.step.instead_of}`\n"
        yield f"    $ {walked.step.line}"
        yield from (f"    {line}".rstrip() for line in _output_of(walked))
        yield f"\n{f'Proved: {walked.proof}.' if walked.proved else '**Not proved.**'}\n"
    yield f"{_summary(result)}.\n"


def _output_of(walked: Walked) -> Iterator[str]:
    """Lay out what a command showed, as it does."""
    if walked.result is not None:
        console = Console(file=io.StringIO(), width=_COLUMNS, color_system=None, highlight=False, markup=False)
        with console.capture() as captured:
            document = show(walked.result, console)
        yield from (captured.get() + document).rstrip().splitlines()
        yield from (f"warning: {warning}" for warning in warnings_of(walked.result))
    if walked.error is not None:
        yield f"error: {walked.error.message}"
