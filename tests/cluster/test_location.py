"""Where a cluster is, read from its nodes' zones: its API server's host is an address, as a private endpoint is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nksmesh.domain.mesh.location import ZONE_LABEL
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"


def put_into(cluster: Reader, *zones: str | None) -> None:
    """Put each of the nodes into one of some zones, in turn; None takes its zone away."""
    for number, node in enumerate(cluster.items("/api/v1/nodes")):
        label = {ZONE_LABEL: zones[number % len(zones)]}
        cluster.merge(f"/api/v1/nodes/{node['metadata']['name']}", {"metadata": {"labels": label}})


@pytest.fixture
def nodes(cluster: Reader) -> Iterator[Reader]:
    """A cluster whose nodes are in no zone before and after."""
    yield cluster
    put_into(cluster, None)


def test_the_region_is_read_from_the_nodes_zones(mesh: Program, nodes: Reader) -> None:
    refused = mesh("plan", code=2).error
    assert "127.0.0.1" in refused["message"]
    assert "--region or --hub" in refused["hint"]

    put_into(nodes, "kr3-pub-a", "kr3-pub-b")
    plan = mesh("plan").data
    assert (plan["region"], plan["version"]) == ("kr3", "1.20.0")
    assert "region kr3, read from the nodes' zones (kr3-pub-a" in plan["notes"][0]
    (ended,) = plan["findings"]
    assert ended["message"] == "NKS ended its support of Kubernetes 1.28 on 2025-11-30"

    # two regions' zones are none; and no zone outweighs what was said
    put_into(nodes, "kr-pub-a", "kr2-pub-a")
    assert len(nodes.items("/api/v1/nodes")) > 1
    assert "kr-pub-a, kr2-pub-a" in mesh("plan", code=2).error["message"]
    put_into(nodes, "kr-pub-a")
    said = mesh("plan", "--region", "kr2").data
    assert said["region"] == "kr2"
    assert "(kr-pub-a) are those of region kr1" in said["findings"][0]["message"]

    # what was read once is as installed from then on, whatever the zones are called later
    ran = mesh("install")
    assert ran.data["hub"] == KR1
    assert "the government cloud has such zones" in str(ran.data["findings"])
    put_into(nodes, "kr-pub-b", "rack-7")
    assert "region kr1, as installed" in mesh("install").data["notes"]


def test_a_hub_of_ones_own_gets_the_version_that_fits_the_cluster(mesh: Program) -> None:
    told = mesh("values", "show", "istiod", "global.tag", "--hub", "registry.example.com/istio", "--installed").data
    assert "version 1.24.6, of the newest minor version known to nksmesh that supports Kubernetes 1.28" in told["notes"]
    listed = mesh("versions").data
    assert listed["cluster"]["kubernetes"].startswith("v1.28.")
    fitting = [version["minor"] for version in listed["versions"] if version["fits"]]
    assert fitting == ["1.19", "1.20", "1.21", "1.22", "1.23", "1.24"]
