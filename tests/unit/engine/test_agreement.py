"""What was agreed to is done behind the lease, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.mesh.holding import Holder
from nksmesh.engine.agreement import agreed
from tests.unit.fakes.cluster import FakeCluster, FakeProcesses, Heard
from tests.unit.fakes.runtime import runtime_of

DEAD = Holder(host="desk", process=7, started=1, user="kim", command="install")


@dataclass(frozen=True)
class Going:
    """A plan of names."""

    more: ClassVar[tuple[str, str]] = ("it would do", "done")

    names: tuple[str, ...]

    def beyond(self, shown: Going) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in shown.names)


async def test_a_dead_runs_helm_ends_before_the_plan_is_made_again(cluster: FakeCluster, heard: Heard) -> None:
    processes, made = FakeProcesses(), list[bool]()
    cluster.lease.dead, processes.helms = DEAD, (77,)

    async def again() -> Going:
        made.append(cluster.lease.holding and bool(processes.asked("wait_for_helm")))
        return Going(("a",))

    runtime = runtime_of(cluster, processes=processes, listener=heard)
    async with agreed(Going(("a", "b")), again, runtime, command="end", step="end") as plan:
        assert cluster.lease.holding
    assert (plan, made) == (Going(("a",)), [True])
    assert cluster.lease.asked("held") == ["end"]


async def test_what_goes_beyond_what_was_shown_is_refused(cluster: FakeCluster, heard: Heard) -> None:
    async def again() -> Going:
        return Going(("a", "b", "c"))

    with pytest.raises(ClusterError, match="it would do more than was shown: b, c; nothing was done"):
        async with agreed(Going(("a",)), again, runtime_of(cluster, listener=heard), command="end", step="end"):
            pytest.fail("nothing is done")
    assert not cluster.lease.holding
