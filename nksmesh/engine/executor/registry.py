"""Which handler does which kind of step: whoever defines a kind registers its handler, and the executor finds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from nksmesh.domain.plan.plan import Step
from nksmesh.engine.executor.step_context import StepContext

S = TypeVar("S", bound=Step)
Handler = Callable[[StepContext[S]], Awaitable[str]]
"""Does a step; the answer is what was done or proved, in words."""

_HANDLERS: Final[dict[type[Step], Handler[Any]]] = {}


def handles(kind: type[S]) -> Callable[[Handler[S]], Handler[S]]:
    """Register the handler of a kind of step, above its definition."""

    def register(handler: Handler[S]) -> Handler[S]:
        _HANDLERS[kind] = handler
        return handler

    return register


def handler_of(step: S) -> Handler[S]:
    """Return what does a step.

    Raises:
        LookupError: Nobody has registered a handler for its kind.
    """
    handler = _HANDLERS.get(type(step))
    if handler is None:
        raise LookupError(f"no handler is registered for {type(step).__name__}, step {step.name}")
    return handler
