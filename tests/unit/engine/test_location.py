"""What a plan reads of a cluster's place: its host first, and its nodes' zones only where they can tell something."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from http import HTTPStatus

import pytest

from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.common.errors import CheckError, ConfigError, RefusedError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.location import about_the_place
from nksmesh.engine.pipeline import resolve_mesh
from nksmesh.engine.request import MeshRequest
from tests.unit.fakes.cluster import FakeCluster

CATALOG = load_catalog(ValuesFolders())
REQUEST = MeshRequest(options=Request(), catalog=CATALOG, today=date(2026, 11, 25))
KR2_HOST = "1a2b3c4d-nks-kr2.container.nhncloud.com"


@pytest.fixture
def cluster() -> FakeCluster:
    """A cluster behind an address, with nodes in kr1."""
    found = FakeCluster()
    found.host = "192.168.0.10"
    for number, zone in enumerate(("kr-pub-a", "kr-pub-b", "")):
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        found.objects.put(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}}
        )
    return found


def asked_for_nodes(cluster: FakeCluster) -> int:
    return cluster.objects.asked("list").count("Node")


async def test_zones_tell_where_the_host_is_an_address(cluster: FakeCluster) -> None:
    found = await resolve_mesh(REQUEST, cluster)
    assert found.resolved.mesh.region == "kr1"
    assert found.resolved.notes[0] == "region kr1, read from the nodes' zones (kr-pub-a, kr-pub-b)"
    assert asked_for_nodes(cluster) == 1
    (doubt, ended) = about_the_place(REQUEST, found)
    assert "the government cloud has such zones" in doubt.message
    assert ended.message == "NKS ended its support of Kubernetes 1.28 on 2025-11-30"


@pytest.mark.parametrize("asked", [REQUEST, replace(REQUEST, options=Request(region="kr1"))])
async def test_no_node_is_read_where_the_host_tells(cluster: FakeCluster, asked: MeshRequest) -> None:
    cluster.host = KR2_HOST
    found = await resolve_mesh(asked, cluster)
    assert asked_for_nodes(cluster) == 0
    messages = [finding.message for finding in about_the_place(asked, found)]
    assert any("but the API server's host" in message for message in messages) is bool(asked.options.region)


@pytest.mark.parametrize(
    "asked",
    [
        replace(REQUEST, options=Request(hub="registry.example.com/istio")),
        replace(REQUEST, environment=Environment(name="e", path="p", hub="registry.example.com/istio")),
    ],
)
async def test_no_node_is_read_where_images_come_from_a_registry_of_ones_own(
    cluster: FakeCluster, asked: MeshRequest
) -> None:
    found = await resolve_mesh(asked, cluster)
    assert (asked_for_nodes(cluster), found.resolved.mesh.version) == (0, "1.24.6")
    assert about_the_place(asked, found) == ()


async def test_nodes_that_may_not_be_read_tell_nothing(cluster: FakeCluster) -> None:
    refusal = RefusedError("nodes is forbidden", hint="", status=HTTPStatus.FORBIDDEN, reason="Forbidden")
    cluster.objects.refuses["Node", ""] = refusal
    with pytest.raises(ConfigError, match=r"cannot be read from the API server's host \(192\.168\.0\.10\)"):
        await resolve_mesh(REQUEST, cluster)
    assert (await resolve_mesh(replace(REQUEST, options=Request(region="kr3")), cluster)).resolved.mesh.region == "kr3"
    cluster.objects.refuses["Node", ""] = RefusedError("broken", hint="", status=500, reason="InternalError")
    with pytest.raises(RefusedError):
        await resolve_mesh(REQUEST, cluster)


async def test_another_region_than_the_zones_tell_is_a_warning(cluster: FakeCluster) -> None:
    asked = replace(REQUEST, options=Request(region="kr3"))
    found = await resolve_mesh(asked, cluster)
    assert found.resolved.mesh.region == "kr3"
    assert "are those of region kr1" in about_the_place(asked, found)[0].message


@pytest.mark.parametrize("region", ["", "kr2"])
async def test_a_cluster_that_nks_supports_is_shown_the_way_in(cluster: FakeCluster, region: str) -> None:
    cluster.host, cluster.kubernetes = KR2_HOST, "v1.33.4"
    asked = replace(REQUEST, options=Request(region=region))
    found = await resolve_mesh(asked, cluster)
    with pytest.raises(CheckError) as raised:
        refuse_failures(asked.judge_version(found.resolved.mesh, found.kubernetes))
    assert raised.value.message == (
        "Region kr2 provides Istio up to 1.20.0, which runs on Kubernetes up to 1.29; this cluster runs 1.33"
    )
    assert "nksmesh install --hub HOST/REGISTRY/istio --version 1.30.2" in raised.value.hint
    # and that command is taken
    way = replace(REQUEST, options=Request(hub="registry.example.com/istio"))
    led = await resolve_mesh(way, cluster)
    assert led.resolved.mesh.version == "1.30.2"
    assert way.judge_version(led.resolved.mesh, led.kubernetes) == ()
