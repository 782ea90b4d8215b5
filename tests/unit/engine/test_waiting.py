from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from nksmesh.domain.common.errors import NotReadyError, UnreachableError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.diagnosis import Cause, Trouble
from nksmesh.domain.kube.readiness import Readiness, failed, ready, waiting
from nksmesh.engine.waiting import Wait, WaitOptions, wait_until_ready
from tests.unit.fakes.cluster import FakeCluster, Heard

PULL = Trouble(Cause.PULL, "Pod istio-system/edge-1", "ErrImagePull", "i/o timeout", "x:1", "istio-proxy")
IMAGE = replace(PULL, cause=Cause.IMAGE, words="manifest unknown")
CRASH = replace(PULL, cause=Cause.CRASH, reason="CrashLoopBackOff", words="exit code 1", image="")


class Scene:
    """What a wait sees, changed by a script of (seconds, change)."""

    def __init__(self, cluster: FakeCluster, heard: Heard) -> None:
        self.answer: Readiness = waiting("Deployment edge: 0 of 1 replicas available")
        self.troubles: list[Trouble] = []
        self.cluster = cluster
        self.heard = heard
        self.judged = 0

    def judge(self) -> Readiness:
        self.judged += 1
        return self.answer

    def at(self, seconds: float, **changed: object) -> None:
        """Let something change, and the watch tell it, when some seconds have passed."""

        def change() -> None:
            for name, value in changed.items():
                setattr(self, name, value)
            self.cluster.live.wake()

        asyncio.get_running_loop().call_at(seconds, change)

    async def wait(self, waits: WaitOptions | None = None) -> str:
        return await wait_until_ready(
            Wait(step="edge", judge=self.judge, troubles=lambda: self.troubles),
            self.cluster.live,
            self.cluster.objects,
            waits=waits or WaitOptions(),
            listener=self.heard,
        )


@pytest.fixture
def scene(cluster: FakeCluster, heard: Heard) -> Scene:
    return Scene(cluster, heard)


def now() -> float:
    return asyncio.get_running_loop().time()


async def fails(scene: Scene, waits: WaitOptions | None = None) -> NotReadyError:
    with pytest.raises(NotReadyError) as caught:
        await scene.wait(waits)
    return caught.value


async def test_what_is_ready_is_not_waited_for(scene: Scene) -> None:
    scene.answer = ready("1 pod of edge")
    assert await scene.wait() == "1 pod of edge"
    assert now() == 0
    assert scene.heard.events == []


async def test_readiness_ends_the_wait_the_moment_it_is_seen(scene: Scene) -> None:
    scene.at(2.5, answer=ready("1 pod of edge"))
    assert await scene.wait() == "1 pod of edge"
    assert now() == 2.5
    assert scene.judged == 2  # at the beginning, and when something changed: nothing is polled


async def test_what_is_waited_for_is_said_once_for_each_thing(scene: Scene) -> None:
    scene.at(1, answer=waiting("Deployment edge: 0 of 1 replicas available"))
    scene.at(2, answer=waiting("12 of 14 CRDs to be Established", ["a", "b"]))
    scene.at(3, answer=waiting("2 of 14 CRDs to be Established", ["a"]))
    scene.at(4, answer=ready("done"))
    await scene.wait()
    assert scene.heard.said(EventKind.WAITING) == [
        "Deployment edge: 0 of 1 replicas available",
        "12 of 14 CRDs to be Established",
    ]
    assert scene.heard.events[-1].names == ("a", "b")


async def test_a_wait_that_is_over_names_what_its_message_counts(scene: Scene) -> None:
    scene.answer = waiting("2 of 14 CRDs to be Established", ["a", "b"])
    failure = await fails(scene)
    assert failure.message.endswith("still waiting for 2 of 14 CRDs to be Established: a, b")


async def test_a_certain_failure_ends_the_wait_at_once_with_its_diagnosis(scene: Scene) -> None:
    scene.at(3, troubles=[IMAGE])
    failure = await fails(scene)
    assert now() == 3
    assert failure.message == "edge cannot become ready: Pod istio-system/edge-1: ErrImagePull of image x:1"
    assert failure.detail == "manifest unknown"
    assert failure.hint == IMAGE.next_step
    assert scene.heard.said(EventKind.WARNING) == [str(IMAGE)]


async def test_what_may_heal_gets_its_grace_and_is_a_warning_until_then(scene: Scene) -> None:
    scene.at(10, troubles=[PULL])
    failure = await fails(scene)
    assert now() == 70
    assert failure.message == "edge is not ready after 1m10s: Pod istio-system/edge-1: ErrImagePull of image x:1"
    assert scene.heard.said(EventKind.WARNING) == [str(PULL)]
    assert scene.heard.times[-1] == 10


async def test_a_grace_can_be_set(scene: Scene) -> None:
    scene.troubles = [PULL]
    await fails(scene, WaitOptions(graces={Cause.PULL: 5.0}))
    assert now() == 5


async def test_no_grace_is_none(scene: Scene) -> None:
    scene.troubles = [PULL]
    await fails(scene, WaitOptions(graces={}))
    assert now() == 0


async def test_healed_trouble_is_forgotten(scene: Scene) -> None:
    scene.at(0, troubles=[PULL])
    scene.at(50, troubles=[])
    scene.at(55, troubles=[PULL])
    scene.at(100, answer=ready("healed"))
    assert await scene.wait() == "healed"
    assert scene.heard.said(EventKind.WARNING) == [str(PULL), str(PULL)]


async def test_the_same_trouble_in_other_words_is_not_given_its_grace_anew(scene: Scene) -> None:
    """The kubelet goes back and forth between ErrImagePull and ImagePullBackOff; each back-off is longer."""
    backing_off = replace(PULL, reason="ImagePullBackOff", words="Back-off pulling image")
    for seconds in range(0, 200, 20):
        scene.at(seconds, troubles=[PULL])
        scene.at(seconds + 10, troubles=[backing_off])
    failure = await fails(scene)
    assert now() == 60
    assert scene.heard.said(EventKind.WARNING) == [str(PULL)]
    assert failure.detail == "i/o timeout"  # the words it has when its grace is over


async def test_a_certain_failure_does_not_wait_for_the_grace_of_another(scene: Scene) -> None:
    scene.troubles = [PULL]
    scene.at(5, troubles=[PULL, replace(IMAGE, subject="Pod istio-system/edge-2")])
    failure = await fails(scene)
    assert now() == 5
    assert "edge-2" in failure.message


async def test_a_crash_comes_with_its_last_words(scene: Scene) -> None:
    scene.cluster.objects.logs["istio-proxy"] = "cannot bind port 80"
    scene.troubles = [CRASH]
    failure = await fails(scene)
    assert failure.detail == "exit code 1\nlast lines of container istio-proxy:\ncannot bind port 80"
    assert scene.cluster.objects.asked("log_tail") == ["istio-system/edge-1 istio-proxy 10"]


async def test_a_crash_whose_log_cannot_be_had_is_still_diagnosed(scene: Scene) -> None:
    scene.cluster.objects.fails["log_tail"] = UnreachableError("gone", hint="wait")
    scene.troubles = [CRASH]
    failure = await fails(scene)
    assert failure.detail == "exit code 1"


async def test_a_crash_without_a_log(scene: Scene) -> None:
    scene.troubles = [CRASH]
    assert (await fails(scene)).detail == "exit code 1"


async def test_the_timeout_says_what_is_still_waited_for(scene: Scene) -> None:
    failure = await fails(scene, WaitOptions(component=30))
    assert now() == 30
    assert failure.message == (
        "edge is not ready after 30s: still waiting for Deployment edge: 0 of 1 replicas available"
    )
    assert "--timeout" in failure.hint


async def test_a_timeout_during_a_grace_tells_the_trouble(scene: Scene) -> None:
    scene.at(25, troubles=[PULL])
    failure = await fails(scene, WaitOptions(component=30))
    assert now() == 30
    assert "ErrImagePull" in failure.message
    assert failure.__notes__ == ["still waiting for: Deployment edge: 0 of 1 replicas available"]


async def test_a_timeout_of_nothing_looks_once(scene: Scene) -> None:
    await fails(scene, WaitOptions(component=0))
    assert (now(), scene.judged) == (0, 1)


async def test_a_judges_failure_without_a_cause_ends_the_wait(scene: Scene) -> None:
    scene.at(1, answer=failed("CRD x: its names conflict"))
    failure = await fails(scene)
    assert failure.message == "edge: CRD x: its names conflict"


async def test_a_judges_failure_with_a_cause_that_may_heal_is_left_its_grace(scene: Scene) -> None:
    scene.answer, scene.troubles = failed("Deployment edge exceeded its progress deadline"), [PULL]
    scene.at(20, answer=ready("healed"), troubles=[])
    assert await scene.wait() == "healed"


async def test_a_lost_api_server_is_said_and_waited_for(scene: Scene) -> None:
    def lose() -> None:
        scene.cluster.live.lost = True
        scene.cluster.live.wake()

    def find() -> None:
        scene.cluster.live.lost = False
        scene.cluster.live.wake()

    call_at: Callable[..., object] = asyncio.get_running_loop().call_at
    call_at(5, lose)
    call_at(15, find)
    scene.at(20, answer=ready("done"))
    assert await scene.wait() == "done"
    assert scene.heard.said(EventKind.WAITING) == [
        "Deployment edge: 0 of 1 replicas available",
        "the API server to answer again",
        "Deployment edge: 0 of 1 replicas available",
    ]


async def test_a_lost_api_server_is_not_waited_for_beyond_the_timeout(scene: Scene) -> None:
    scene.cluster.live.lost = True
    failure = await fails(scene, WaitOptions(component=30))
    assert now() == 30
    assert failure.message == "edge is not ready after 30s: still waiting for the API server to answer again"
    assert failure.passing, "it may be ready a moment later"


async def test_what_was_seen_before_the_api_server_was_lost_is_no_proof_of_failure(scene: Scene) -> None:
    scene.at(0, troubles=[PULL])

    def lose() -> None:
        scene.cluster.live.lost = True
        scene.cluster.live.wake()

    def find() -> None:
        scene.cluster.live.lost = False
        scene.answer, scene.troubles = ready("healed meanwhile"), []
        scene.cluster.live.wake()

    asyncio.get_running_loop().call_at(50, lose)
    asyncio.get_running_loop().call_at(100, find)
    assert await scene.wait() == "healed meanwhile"
