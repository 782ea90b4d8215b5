from __future__ import annotations

import asyncio

import pytest

from nksmesh.domain.common.errors import NotReadyError, ReleaseError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.executor.pending import check_pending
from nksmesh.engine.executor.removal_proof import await_end
from tests.unit.domain.meshes import HUB, ISTIOD, change, changes_of, installed, mesh
from tests.unit.fakes.cluster import FakeCluster, Heard

SERVICE = ObjectRef("v1", "Service", "istio-ingressgateway", "istio-system")
SPACE = ObjectRef("v1", "Namespace", "edge")


def recorded(helm_revision: int) -> Record:
    release = RecordedRelease(release=ISTIOD, chart_digest="", values_hash="", helm_revision=helm_revision)
    return Record(settings=Recorded(namespace="istio-system"), hub=HUB, releases=(release,))


def pending(record: Record | None) -> Plan:
    left = change(ISTIOD, installed=installed(ISTIOD, status="pending-upgrade", helm_revision=3))
    return Plan(mesh=mesh(), steps=(), releases=changes_of(left), recorded=record)


@pytest.mark.parametrize("record", [None, recorded(2)], ids=["never ours", "ours had ended"])
def test_what_somebody_elses_helm_has_begun_is_left_alone(record: Record | None) -> None:
    with pytest.raises(ReleaseError, match="release istiod is pending-upgrade: another Helm") as caught:
        refuse_failures(check_pending(pending(record)))
    assert "--yes" in caught.value.hint
    assert "Helm revision 3 of istiod in istio-system" in caught.value.detail


def test_what_a_run_of_ours_had_begun_is_put_right() -> None:
    assert check_pending(pending(recorded(0))) == ()


def test_a_release_at_rest_is_nobodys() -> None:
    rested = change(ISTIOD, installed=installed(ISTIOD))
    plan = Plan(mesh=mesh(), steps=(), releases=changes_of(rested))
    assert rested.left_pending is None
    assert check_pending(plan) == ()


async def test_what_is_being_deleted_is_waited_for(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(
        {"kind": "Service", "metadata": {"name": SERVICE.name, "namespace": SERVICE.namespace}},
        {"kind": "Namespace", "metadata": {"name": SPACE.name}},
    )
    loop = asyncio.get_running_loop()
    loop.call_at(3, lambda: cluster.live.remove(SERVICE))
    loop.call_at(5, lambda: cluster.live.remove(SPACE))
    await await_end((SERVICE, SPACE), cluster, step="plan", timeout=60, listener=heard)
    assert loop.time() == 5
    assert heard.said(EventKind.WAITING) == [f"{SERVICE} to be deleted, and 1 more", f"{SPACE} to be deleted"]


async def test_what_a_finalizer_keeps_ends_the_wait_in_time(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show({"kind": "Namespace", "metadata": {"name": SPACE.name}})
    with pytest.raises(NotReadyError, match="Namespace edge is still being deleted after 30s"):
        await await_end((SPACE,), cluster, step="plan", timeout=30, listener=heard)
    assert asyncio.get_running_loop().time() == 30
