"""Waiting: woken by every change, ended by readiness, by a failure that cannot heal, or by the timeout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import ClusterError, NotReadyError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.diagnosis import GRACES, TRIED_AGAIN_GRACE, Cause, Identity, Trouble
from nksmesh.domain.kube.readiness import Readiness, State
from nksmesh.engine.ports import Live, Objects

_LOG_LINES = 10


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    """How long is waited for what, in seconds.

    Attributes:
        component: For one component to become ready.
        address: For a LoadBalancer's address; None for 30 seconds, or none on a private network.
        graces: For each cause that may heal, how long it is given.
    """

    component: float = 300.0
    address: float | None = None
    graces: Mapping[Cause, float] = field(default_factory=lambda: dict(GRACES))


@dataclass(frozen=True, kw_only=True)
class Wait:
    """One thing to wait for.

    Attributes:
        step: The step's name, for what is said while it waits.
        judge: Answers whether it is ready, from what is followed.
        troubles: Lists what keeps pods from being ready, from what is followed.
        subject: What is not ready, for what is said of a failure; empty where the step's name says it.
    """

    step: str
    judge: Callable[[], Readiness]
    troubles: Callable[[], list[Trouble]] = list
    subject: str = ""

    @property
    def named(self) -> str:
        """What a failure is about."""
        return self.subject or self.step


async def wait_until_ready(wait: Wait, live: Live, objects: Objects, *, waits: WaitOptions, listener: Listener) -> str:
    """Wait until a judge says ready.

    Returns:
        What was proved.

    Raises:
        NotReadyError: It cannot become ready, its grace or its time is over; says the object and the reason.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    first_seen: dict[Identity, float] = {}
    said = ""
    while True:
        version, now = live.version, clock()
        answer, troubles = wait.judge(), {trouble.identity: trouble for trouble in wait.troubles()}
        if answer.ready:
            return answer.message
        if answer.state is State.FAILED and not troubles:
            raise NotReadyError(f"{wait.named}: {answer.message}", hint="Run nksmesh status to see the mesh.")
        for identity, trouble in troubles.items():
            if identity not in first_seen:
                listener(Event(step=wait.step, kind=EventKind.WARNING, message=str(trouble)))
        first_seen = {identity: first_seen.get(identity, now) for identity in troubles}
        # What was seen before the API server was lost proves nothing: it may have healed meanwhile.
        ends = {} if live.lost else {key: _end(troubles[key], seen, waits) for key, seen in first_seen.items()}
        over = [troubles[identity] for identity, end in ends.items() if end <= now]
        if over:
            raise await _failure(wait.named, over[0], objects, now - began)
        message, names = ("the API server to answer again", ()) if live.lost else (answer.message, answer.names)
        left = began + waits.component - now
        if left <= 0:
            awaited = f"{message}: {', '.join(names)}" if names else message
            raise await _timeout(wait.named, awaited, list(troubles.values()), objects, waits.component)
        if _gist(message) != said:
            said = _gist(message)
            listener(Event(step=wait.step, kind=EventKind.WAITING, message=message, names=names))
        await live.changed(version, min([left, *(end - now for end in ends.values())]))


def _gist(message: str) -> str:
    """Return what of a message is worth saying again: not that one more of many is done."""
    return re.sub(r"^\d+ of (\d+) (\w+).*", r"\1 \2", message)


def _end(trouble: Trouble, seen: float, waits: WaitOptions) -> float:
    """Return the moment a trouble is taken to be final."""
    default = TRIED_AGAIN_GRACE if trouble.from_before else 0.0
    return seen if trouble.certain else seen + waits.graces.get(trouble.cause, default)


async def _failure(name: str, trouble: Trouble, objects: Objects, after: float) -> NotReadyError:
    about = f" of image {trouble.image}" if trouble.image else ""
    verdict = "cannot become ready" if trouble.certain else f"is not ready after {spoken(after)}"
    return NotReadyError(
        f"{name} {verdict}: {trouble.subject}: {trouble.reason}{about}",
        hint=trouble.next_step,
        detail="\n".join(filter(None, (trouble.words, await _last_words(trouble, objects)))),
    )


async def _timeout(name: str, awaited: str, troubles: list[Trouble], objects: Objects, seconds: float) -> NotReadyError:
    if troubles:
        failure = await _failure(name, troubles[0], objects, seconds)
        failure.add_note(f"still waiting for: {awaited}")
        return failure
    return NotReadyError(
        f"{name} is not ready after {spoken(seconds)}: still waiting for {awaited}",
        hint="Pass a longer --timeout, or run nksmesh status to see the mesh.",
        passing=True,
    )


async def _last_words(trouble: Trouble, objects: Objects) -> str:
    """Return a crashed container's last log lines, where they can still be had."""
    if trouble.cause is not Cause.CRASH:
        return ""
    namespace, _, name = trouble.subject.partition(" ")[2].partition("/")
    try:
        tail = await objects.log_tail(namespace, name, trouble.container, lines=_LOG_LINES)
    except ClusterError:
        return ""  # the diagnosis stands without them
    return f"last lines of container {trouble.container}:\n{tail}" if tail else ""
