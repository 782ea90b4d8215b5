"""An API server's answers, and which of them are worth asking again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential

_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds. A server that asks for a longer one is not asked again: whoever waits should know."""

_PASSING: Final = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,  # etcd's leader has changed
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        retry_after: The header Retry-After; empty without one.
        taken: What was made of the body as it came, instead of ``raw``.
    """

    status: int
    raw: bytes
    retry_after: str = ""
    taken: Any = None


def worth_another_try(method: str, answer: Answer) -> bool:
    """Tell whether the same request may well be answered otherwise in a moment.

    A 429 was not carried out, whatever it asked for (API Priority and Fairness); any other failure may have been, so
    only what reads is sent again.
    """
    passing = answer.status == HTTPStatus.TOO_MANY_REQUESTS or (method == "GET" and answer.status in _PASSING)
    return passing and _asked_pause(answer) <= _LONGEST_PAUSE


async def tried_again(ask: Callable[[], Awaitable[Answer]], method: str, first: Answer) -> Answer:
    """Ask again until the answer is another, or the tries are used up; return the last answer."""
    own_pause = wait_exponential(multiplier=2 * _FIRST_PAUSE, max=_LONGEST_PAUSE)

    def pause(state: RetryCallState) -> float:
        last = state.outcome.result() if state.outcome else first
        return max(_asked_pause(last), own_pause(state))

    await asyncio.sleep(max(_asked_pause(first), _FIRST_PAUSE))
    answer: Answer = await AsyncRetrying(
        retry=retry_if_result(lambda answer: worth_another_try(method, answer)),
        wait=pause,
        stop=stop_after_attempt(_TRIES - 1),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else first,
    )(ask)
    return answer


def _asked_pause(answer: Answer) -> float:
    """Return the seconds that an answer asks to wait; an HTTP date is not used by API servers, and counts as none."""
    return float(answer.retry_after) if answer.retry_after.isdecimal() else 0.0
