"""What is checked before anything is written: whose objects these are, and what the CRDs would become."""

from __future__ import annotations

import pytest

from nksmesh.domain.errors import ClusterError, RefusedError
from nksmesh.domain.objects import ref_of
from nksmesh.workflows.crds import survey_crds
from nksmesh.workflows.ownership import Owned, check_owners
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, change, changes_of, chart, installed
from tests.unit.workflows.fakes import FakeCluster
from tests.unit.workflows.scenery import NAMESPACE, crd, deployment, of_release

CRD = crd("gateways.istio.io")


async def test_what_does_not_exist_or_is_the_releases_own_may_be_written(cluster: FakeCluster) -> None:
    cluster.objects.put(of_release(deployment("istiod"), ISTIOD))
    changes = changes_of(
        change(ISTIOD, manifests=[deployment("istiod")]), change(INGRESS, manifests=[deployment(INGRESS.name)])
    )
    assert await check_owners(changes, cluster) == Owned(changes=dict(changes), ending=())


async def test_what_is_being_deleted_is_told(cluster: FakeCluster) -> None:
    ending = of_release(deployment("istiod"), ISTIOD)
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.objects.put(ending)
    found = await check_owners(changes_of(change(ISTIOD, manifests=[deployment("istiod")])), cluster)
    assert [str(ref) for ref in found.ending] == [f"Deployment {NAMESPACE}/istiod"]


async def test_crds_that_an_earlier_mesh_of_ours_left_become_the_releases(cluster: FakeCluster) -> None:
    left = {**CRD, "metadata": {**CRD["metadata"], "managedFields": [{"manager": "nksmesh"}]}}
    cluster.objects.put(left)
    found = await check_owners(changes_of(change(BASE, manifests=[CRD])), cluster)
    taken = found.changes[BASE.name]
    assert taken.left_crds == (ref_of(CRD),)
    assert "1 CRD that an earlier mesh left becomes its own" in taken.reasons


async def test_a_crd_that_another_tool_left_is_not_taken(cluster: FakeCluster) -> None:
    cluster.objects.put({**CRD, "metadata": {**CRD["metadata"], "managedFields": [{"manager": "kubectl"}]}})
    with pytest.raises(ClusterError, match="1 object of this mesh exists already"):
        await check_owners(changes_of(change(BASE, manifests=[CRD])), cluster)


async def test_somebody_elses_object_stops_the_run_with_its_owner(cluster: FakeCluster) -> None:
    theirs = deployment("istiod")
    theirs["metadata"]["labels"] = {"operator.istio.io/component": "Pilot"}
    cluster.objects.put(theirs)
    cluster.objects.put(of_release(deployment(INGRESS.name), ISTIOD))
    changes = changes_of(
        change(ISTIOD, manifests=[deployment("istiod")]), change(INGRESS, manifests=[deployment(INGRESS.name)])
    )
    with pytest.raises(ClusterError, match="2 objects of this mesh exist already") as caught:
        await check_owners(changes, cluster)
    assert caught.value.detail.splitlines() == [
        f"Deployment {NAMESPACE}/istiod belongs to istioctl",
        f"Deployment {NAMESPACE}/{INGRESS.name} belongs to Helm release istiod in {NAMESPACE}",
    ]


async def test_an_object_that_somebody_deleted_is_a_reason_to_write(cluster: FakeCluster) -> None:
    kept = change(ISTIOD, manifests=[deployment("istiod")], installed=installed(ISTIOD), reasons=())
    checked = await check_owners(changes_of(kept), cluster)
    assert checked.changes["istiod"].reasons == (f"Deployment {NAMESPACE}/istiod is missing",)


async def test_a_crd_that_does_not_exist_is_not_asked_about(cluster: FakeCluster) -> None:
    (found,) = await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="")
    assert (found.exists, found.differs) == (False, True)
    assert cluster.objects.asked("ask") == []


async def test_crds_of_the_chart_that_was_applied_last_are_not_asked_about(cluster: FakeCluster) -> None:
    base = chart("base", crds=[CRD])
    cluster.objects.put(CRD)
    (found,) = await survey_crds(base, cluster.objects, applied_digest=base.digest)
    assert (found.exists, found.differs) == (True, False)
    assert cluster.objects.asked("ask") == []


async def test_what_applying_a_crd_would_change_is_asked(cluster: FakeCluster) -> None:
    older = {**CRD, "metadata": {**CRD["metadata"], "generation": 7}}
    cluster.objects.put(older)
    (found,) = await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="sha256:older")
    assert (found.exists, found.differs) == (True, True)
    cluster.objects.put(CRD)
    (found,) = await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="")
    assert (found.exists, found.differs) == (True, False)


async def test_a_conflict_names_whose_fields_would_be_taken(cluster: FakeCluster) -> None:
    cluster.objects.put(CRD)
    words = 'Apply failed with 2 conflicts: conflict with "helm": .spec.a\nconflicts with "kubectl" using v1: .spec.b'
    cluster.objects.fails["ask"] = RefusedError("no", hint="", status=409, reason="Conflict", detail=words)
    (found,) = await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="")
    assert (found.differs, found.taken_from) == (True, ("helm", "kubectl"))


async def test_another_refusal_is_passed_on(cluster: FakeCluster) -> None:
    cluster.objects.put(CRD)
    cluster.objects.fails["ask"] = RefusedError("no", hint="", status=403, reason="Forbidden")
    with pytest.raises(RefusedError):
        await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="")
    assert ref_of(CRD).namespace == ""
