"""What was shown and agreed to is done, and no more: the user may have thought for long, and the cluster gone on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol, Self, TypeVar

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.errors import ClusterError
from nksmesh.engine.executor.pending import settle
from nksmesh.engine.runtime import Runtime


class AgreedPlan(Protocol):
    """A plan that a user is shown and asked about."""

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done: ``uninstall would now remove`` and ``removed``."""

    def beyond(self, shown: Self) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""


P = TypeVar("P", bound=AgreedPlan)


def check_agreed(plan: P, shown: P) -> None:
    """Check that a plan does no more than what was shown.

    Raises:
        ClusterError: It does; nothing was done.
    """
    if beyond := plan.beyond(shown):
        would, done = plan.more
        raise ClusterError(
            f"{would} more than was shown: {', '.join(beyond)}; nothing was {done}",
            hint="Run the same command again to see all of it.",
        )


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
        ClusterError: The plan goes beyond what was shown.
        MeshError: As ``again`` says.
        HeldError: Another run holds the mesh.
    """
    async with runtime.cluster.lease.held(command) as dead:
        await settle(pending, runtime.processes, dead, step=step, listener=runtime.listener)
        plan = await again()
        check_agreed(plan, shown)
        yield plan
