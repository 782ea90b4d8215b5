"""What is checked before anything is written: whose objects these are, and what the CRDs would become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.values.layers import Layer
from nksmesh.engine.crds import VERSION_ANNOTATION, keep_dropped_crds, leave_newer_crds, survey_crds
from nksmesh.engine.ownership import Owned, check_owners
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, change, changes_of, chart, installed, mesh
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import NAMESPACE, crd, deployment, of_release, versioned

CRD = crd("gateways.istio.io")


async def test_what_does_not_exist_or_is_the_releases_own_may_be_written(cluster: FakeCluster) -> None:
    cluster.objects.put(of_release(deployment("istiod"), ISTIOD))
    changes = changes_of(
        change(ISTIOD, manifests=[deployment("istiod")]), change(INGRESS, manifests=[deployment(INGRESS.name)])
    )
    assert await check_owners(changes, cluster) == Owned(changes=dict(changes), ending=(), not_shown=(ISTIOD,))


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
    assert "takes ownership of 1 CRD that no release owns" in taken.reasons


async def test_a_crd_that_another_tool_left_is_not_taken(cluster: FakeCluster) -> None:
    cluster.objects.put({**CRD, "metadata": {**CRD["metadata"], "managedFields": [{"manager": "kubectl"}]}})
    with pytest.raises(ClusterError, match="1 object of this mesh already exists"):
        refuse_failures((await check_owners(changes_of(change(BASE, manifests=[CRD])), cluster)).findings)


async def test_somebody_elses_object_stops_the_run_with_its_owner(cluster: FakeCluster) -> None:
    theirs = deployment("istiod")
    theirs["metadata"]["labels"] = {"install.operator.istio.io/owning-resource": "installed-state"}
    cluster.objects.put(theirs)
    cluster.objects.put(of_release(deployment(INGRESS.name), ISTIOD))
    changes = changes_of(
        change(ISTIOD, manifests=[deployment("istiod")]), change(INGRESS, manifests=[deployment(INGRESS.name)])
    )
    with pytest.raises(ClusterError, match="2 objects of this mesh already exist") as caught:
        refuse_failures((await check_owners(changes, cluster)).findings)
    assert caught.value.detail.splitlines() == [
        f"Deployment {NAMESPACE}/istiod belongs to istioctl",
        f"Deployment {NAMESPACE}/{INGRESS.name} belongs to Helm release istiod in {NAMESPACE}",
    ]
    assert "Run nksmesh adopt if Helm installed this mesh, or nksmesh adopt --from istioctl" in caught.value.hint


async def test_an_object_of_another_namespaces_mesh_leads_to_that_mesh(cluster: FakeCluster) -> None:
    cluster.objects.put(of_release(CRD, replace(BASE, namespace="mesh-b")))
    with pytest.raises(ClusterError, match="belongs to another owner") as caught:
        refuse_failures((await check_owners(changes_of(change(BASE, manifests=[CRD])), cluster)).findings)
    assert "a mesh in namespace mesh-b. Manage" in caught.value.hint
    assert "-n mesh-b" in caught.value.hint


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
    cluster.objects.put(applied("1.20.0"))
    (found,) = await survey_crds(chart("base", crds=[CRD]), cluster.objects, applied_digest="")
    assert (found.exists, found.differs) == (True, False)


@pytest.mark.parametrize(
    ("marks", "at_least", "newer"),
    [
        ({"annotations": {VERSION_ANNOTATION: "1.20.1"}}, "", "1.20.1"),
        ({"labels": {"app.kubernetes.io/version": "1.24.6"}}, "1.20.0", "1.24.6"),
        (
            {"annotations": {VERSION_ANNOTATION: "1.23.6"}, "labels": {"app.kubernetes.io/version": "1.24.6"}},
            "",
            "1.24.6",
        ),
        ({}, "1.21.6", "1.21.6"),
        ({"annotations": {VERSION_ANNOTATION: "1.19.0"}}, "1.21.6", ""),
        ({"annotations": {VERSION_ANNOTATION: "1.20.0"}}, "", ""),
        ({"labels": {"app.kubernetes.io/version": "of-somebody"}}, "", ""),
        ({}, "", ""),
    ],
)
async def test_an_older_crd_never_goes_over_a_newer_one(
    cluster: FakeCluster, marks: dict[str, Any], at_least: str, newer: str
) -> None:
    cluster.objects.put({**CRD, "metadata": {**CRD["metadata"], **marks}})
    (found,) = await survey_crds(
        chart("base", crds=[CRD]), cluster.objects, applied_digest="sha256:other", at_least=at_least
    )
    assert found.newer == newer
    assert bool(cluster.objects.asked("ask")) is not bool(newer)
    assert found.differs is False or not newer


def applied(version: str) -> dict[str, Any]:
    """The CRD as a run with that version's chart left it."""
    return {**CRD, "metadata": {**CRD["metadata"], "annotations": {VERSION_ANNOTATION: version}}}


def base_of(version: str, *crds: dict[str, Any], **values: Any) -> Any:
    return installed(BASE, chart_version=version, manifest=FakeHelm.text(crds), values=values)


async def test_base_leaves_out_the_crds_that_are_newer_than_its_chart(cluster: FakeCluster) -> None:
    """The cluster alone knows: after a rollback Helm's record of base is of an older chart than its CRDs."""
    for one in (
        versioned("a.networking.istio.io", "1.29.0"),
        versioned("b.networking.istio.io", "1.28.10"),
        versioned("issuers.cert-manager.io", "1.30.0"),
        crd("d.networking.istio.io"),
    ):
        cluster.objects.put(one)
    wanted = mesh(version="1.28.10", layers={BASE.name: (Layer(name="x", values={"base": {"excludedCRDs": ["c"]}}),)})
    left = await leave_newer_crds(wanted, chart("base", version="1.28.10"), cluster.objects)
    layer = left.layers[BASE.name][-1]
    assert (layer.values, layer.ours) == ({"base": {"excludedCRDs": ["a.networking.istio.io", "c"]}}, True)
    assert await leave_newer_crds(left, chart("base", version="1.28.10"), cluster.objects) is left


async def test_a_base_that_renders_all_crds_whatever_is_left_out_renders_them_by_its_templates(
    cluster: FakeCluster,
) -> None:
    """With enableCRDTemplates off, the chart from 1.24 on passes over excludedCRDs (istio-facts 5)."""
    cluster.objects.put(versioned("a.networking.istio.io", "1.29.0"))
    off = {"base": {"enableCRDTemplates": False, "excludedCRDs": ["a.networking.istio.io"]}}
    wanted = mesh(version="1.28.10", layers={BASE.name: (Layer(name="x", values=off),)})
    left = await leave_newer_crds(wanted, chart("base", version="1.28.10"), cluster.objects)
    assert left.layers[BASE.name][-1].values == {
        "base": {"enableCRDTemplates": True, "excludedCRDs": ["a.networking.istio.io"]}
    }
    assert await leave_newer_crds(left, chart("base", version="1.28.10"), cluster.objects) is left


async def test_a_base_whose_crds_are_none_too_new_is_as_the_layers_have_it(cluster: FakeCluster) -> None:
    cluster.objects.put(versioned("a.networking.istio.io", "1.24.6"))
    cluster.objects.put(crd("b.networking.istio.io"))
    wanted = mesh()
    assert await leave_newer_crds(wanted, chart("base", version="1.24.6"), cluster.objects) is wanted


async def test_crds_of_a_folder_are_surveyed_one_by_one(cluster: FakeCluster) -> None:
    wanted = mesh()
    assert await leave_newer_crds(wanted, chart("base", version="1.23.6", crds=[CRD]), cluster.objects) is wanted
    assert cluster.objects.calls == []


async def test_a_crd_that_an_upgrade_drops_is_kept_in_the_cluster(cluster: FakeCluster) -> None:
    dropped, kept, staying = (
        versioned("a.istio.io", "1.24.6"),
        versioned("b.istio.io", "1.24.6", **{"helm.sh/resource-policy": "keep"}),
        versioned("c.istio.io", "1.24.6"),
    )
    gone = versioned("d.istio.io", "1.24.6")
    for one in (dropped, kept, staying):
        cluster.objects.put(one)
    losing = await keep_dropped_crds(base_of("1.24.6", dropped, kept, staying, gone), [staying], cluster, FakeHelm())
    assert losing == ("a.istio.io",)
    assert cluster.objects.asked("merge") == ["CustomResourceDefinition a.istio.io"]


@pytest.mark.parametrize("label", ["chart", "release"])
async def test_a_crd_of_istios_charts_becomes_the_installed_releases_own(cluster: FakeCluster, label: str) -> None:
    cluster.objects.put({**CRD, "metadata": {**CRD["metadata"], "labels": {label: "istio"}}})
    ours = change(BASE, manifests=[CRD], installed=installed(BASE, chart_version="1.23.6"), reasons=["chart"])
    assert (await check_owners(changes_of(ours), cluster)).changes[BASE.name].left_crds == (ref_of(CRD),)
    with pytest.raises(ClusterError):
        refuse_failures((await check_owners(changes_of(change(BASE, manifests=[CRD])), cluster)).findings)


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
