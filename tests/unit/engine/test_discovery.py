from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.engine.discovery import find_installation, record_for
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.meshes import SIGNED


def record(namespace: str, *releases: Release) -> Record:
    return Record(
        settings=Recorded(namespace=namespace, region="kr1"),
        hub="h",
        releases=tuple(
            RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1) for release in releases
        ),
    )


def helm_has(cluster: FakeCluster, *releases: Release, **changed: Any) -> None:
    cluster.storage.put(*(installed(release, manifest=SIGNED, **changed) for release in releases))


HERE, THERE = record("istio-system"), record("mesh-b")


@pytest.mark.parametrize(
    ("asked", "kept", "found"),
    [
        ("", [], None),
        ("", [HERE], HERE),
        ("", [THERE], THERE),
        ("", [HERE, THERE], HERE),
        ("", [THERE, record("mesh-c")], None),
        ("mesh-b", [HERE, THERE], THERE),
        ("mesh-c", [HERE], None),
    ],
)
def test_which_record_is_meant(asked: str, kept: list[Record], found: Record | None) -> None:
    assert record_for(asked, {one.namespace: one for one in kept}) is found


async def test_a_record_names_the_mesh_and_helm_says_what_is_left_of_it(cluster: FakeCluster) -> None:
    cluster.records.kept["istio-system"] = record("istio-system", INGRESS, EDGE, ISTIOD, BASE)
    helm_has(cluster, BASE, ISTIOD, EDGE)
    found = await find_installation(cluster, "")
    assert list(found.releases) == [BASE, ISTIOD, EDGE]
    assert found.record is cluster.records.kept["istio-system"]
    assert found.gone == (INGRESS,)


async def test_a_record_whose_releases_are_gone_counts_for_nothing(cluster: FakeCluster) -> None:
    cluster.records.kept["istio-system"] = record("istio-system", ISTIOD)
    found = await find_installation(cluster, "")
    assert (found.releases, found.record, found.gone) == ({}, None, ())


async def test_without_a_record_the_charts_tell(cluster: FakeCluster) -> None:
    helm_has(cluster, BASE, ISTIOD, INGRESS, EDGE)
    cluster.storage.put(installed(replace(BASE, name="postgres"), chart="postgres"))
    found = await find_installation(cluster, "")
    assert list(found.releases) == [BASE, ISTIOD, EDGE, INGRESS]
    assert (found.namespace, found.record) == ("istio-system", None)


async def test_of_two_meshes_each_has_what_is_in_its_own_namespace(cluster: FakeCluster) -> None:
    other = [replace(release, namespace="mesh-b") for release in (BASE, ISTIOD)]
    helm_has(cluster, BASE, ISTIOD, EDGE, *other)
    found = await find_installation(cluster, "mesh-b")
    assert list(found.releases) == other
    assert EDGE not in (await find_installation(cluster, "istio-system")).releases


async def test_an_empty_cluster_has_no_mesh(cluster: FakeCluster) -> None:
    found = await find_installation(cluster, "")
    assert (found.namespace, found.releases) == ("istio-system", {})


FORBIDDEN = RefusedError("may not", hint="", status=403, reason="Forbidden")


async def test_a_record_that_may_not_be_read_ends_all_but_a_look(cluster: FakeCluster) -> None:
    helm_has(cluster, BASE, ISTIOD)
    cluster.records.fails["read_all"] = FORBIDDEN
    with pytest.raises(RefusedError):
        await find_installation(cluster, "")
    found = await find_installation(cluster, "", without_record=True)
    assert list(found.releases) == [BASE, ISTIOD]
    assert len(found.notes) == 1


async def test_whoever_sees_one_namespace_alone_sees_its_releases(cluster: FakeCluster) -> None:
    helm_has(cluster, BASE, ISTIOD, EDGE)
    cluster.records.fails["read_all"] = FORBIDDEN
    everything = cluster.storage.installed

    async def of_one(releases: Any = None, *, namespace: str = "", unreadable: list[str] | None = None) -> Any:
        if releases is None and not namespace:
            raise FORBIDDEN
        return await everything(releases, namespace=namespace, unreadable=unreadable)

    cluster.storage.installed = of_one  # type: ignore[method-assign]
    found = await find_installation(cluster, "", without_record=True)
    assert list(found.releases) == [BASE, ISTIOD]
    assert "only istio-system was searched" in found.notes[1]


async def test_a_helm_record_that_cannot_be_read_is_passed_over_and_named(cluster: FakeCluster) -> None:
    helm_has(cluster, ISTIOD)
    cluster.storage.unreadable = ["Secret a/b"]
    found = await find_installation(cluster, "")
    assert list(found.releases) == [ISTIOD]
    assert found.notes == ("Helm's record in Secret a/b cannot be read and is ignored",)


async def test_without_a_record_an_istiods_values_tell_its_istio_revision(cluster: FakeCluster) -> None:
    helm_has(cluster, BASE, replace(ISTIOD, name="istiod-1-22-8"), values={"revision": "1-22-8"})
    found = await find_installation(cluster, "")
    assert [(release.name, release.istio_revision) for release in found.releases] == [
        ("istio-base", ""),
        ("istiod-1-22-8", "1-22-8"),
    ]
