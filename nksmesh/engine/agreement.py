"""What was shown and agreed to is done, and no more: the user may have thought for long, and the cluster gone on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol, Self, TypeVar

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.errors import MeshError
from nksmesh.engine.executor.pending import settle
from nksmesh.engine.runtime import Runtime


class AgreedPlan(Protocol):
    """A plan that a user is shown and asked about."""

    def beyond(self, shown: Self) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""

    def refusal(self, more: str) -> MeshError:
        """Make the error that says what goes beyond what was shown, and that nothing was done."""


P = TypeVar("P", bound=AgreedPlan)


def check_agreed(plan: P, shown: P) -> None:
    """Check that a plan does no more than what was shown.

    Raises:
        MeshError: It does; the plan's own refusal.
    """
    if more := plan.beyond(shown):
        raise plan.refusal(", ".join(more))


@asynccontextmanager
async def agreed(
    shown: P,
    again: Callable[[], Awaitable[P]],
    runtime: Runtime,
    *,
    command: str,
    step: str,
    pending: Iterable[InstalledRelease] = (),
) -> AsyncIterator[P]:
    """Hold the mesh, and give the plan as it is now that nobody else writes: to be followed inside the block.

    Args:
        command: What the lease calls the run.
        step: The step that waits for what a dead run left at work.
        pending: The shown plan's releases that Helm has begun and not ended: they are given the time to end.

    Raises:
        MeshError: The plan goes beyond what was shown; or as ``again`` says.
        HeldError: Another run holds the mesh.
    """
    async with runtime.cluster.lease.held(command) as dead:
        await settle(pending, runtime.processes, dead, step=step, listener=runtime.listener)
        plan = await again()
        check_agreed(plan, shown)
        yield plan
