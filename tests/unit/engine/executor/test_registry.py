"""A kind of step that the executor has never heard of: whoever defines it registers what does it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nksmesh.domain.common.events import EventKind
from nksmesh.domain.plan.plan import Action, Need, Step
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.runtime import runtime_of


@dataclass(frozen=True, kw_only=True)
class GreetingStep(Step):
    """Says something."""

    words: str


@dataclass(frozen=True, kw_only=True)
class UnknownStep(Step):
    """Nobody does it."""


@handles(GreetingStep)
async def greet(work: StepContext[GreetingStep]) -> str:
    """Say it."""
    return work.step.words


async def test_a_new_kind_of_step_is_done_by_its_registered_handler(cluster: FakeCluster, heard: Heard) -> None:
    steps = (
        GreetingStep(name="second", action=Action.APPLY, words="and again", needs=(Need("first"),)),
        GreetingStep(name="first", action=Action.APPLY, words="hello"),
    )
    progress = await Executor(steps, runtime_of(cluster, listener=heard)).run()
    assert [(outcome.step.name, outcome.message) for outcome in progress.outcomes] == [
        ("first", "hello"),
        ("second", "and again"),
    ]
    assert heard.order(EventKind.DONE) == ["first", "second"]


async def test_a_kind_that_nobody_registered_is_named(cluster: FakeCluster, heard: Heard) -> None:
    steps = (UnknownStep(name="odd", action=Action.APPLY),)
    with pytest.raises(LookupError, match="UnknownStep, step odd"):
        await Executor(steps, runtime_of(cluster, listener=heard)).run()
