"""What is refused of a request without any cluster, and what must wait for the record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.domain.common.errors import CheckError, ConfigError, MeshError
from nksmesh.domain.mesh.catalog import Catalog, Environment, ValuesFile
from nksmesh.domain.mesh.mesh import GatewaySpec
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.request_check import check_request
from nksmesh.domain.values.set_values import parse_set


@pytest.fixture
def told(prod: Environment) -> Environment:
    return replace(prod, version="1.20.0")


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (Request(region="kr3"), ConfigError, "there is no region 'kr3'"),
        (Request(profile="dmo"), ConfigError, "there is no profile 'dmo'"),
        (Request(hub="https://x/y"), ConfigError, "--hub: 'https://x/y'"),
        (Request(version="latest"), ConfigError, "'latest' is not an Istio version"),
        (Request(version="9.9.9"), CheckError, "9.9.9 is of a minor version"),
        (Request(region="kr1", version="1.20.7"), CheckError, "does not provide Istio 1.20.7"),
        (Request(namespace="a;b"), ConfigError, "namespace: 'a;b'"),
        (Request(profile="demo", sets=(parse_set("istoid:a=1"),)), ConfigError, "'istoid'"),
    ],
)
def test_what_the_catalog_alone_refutes_is_refused(
    catalog: Catalog, request_: Request, kind: type[MeshError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        check_request(request_, catalog)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": "kr3"}, "there is no region 'kr3'"),
        ({"profile": "dmo"}, "there is no profile 'dmo'"),
        ({"hub": "x y"}, "hub, from environment prod"),
        ({"namespace": "UPPER"}, "namespace: 'UPPER'"),
        ({"gateways": (GatewaySpec(name="istiod"),)}, "the name is already used"),
        ({"files": {"gatway": ValuesFile(path="gatway.yaml", values={})}}, "gatway.yaml: there is no component"),
    ],
)
def test_an_environment_is_held_to_the_same(
    catalog: Catalog, told: Environment, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_request(Request(), catalog, replace(told, **change))  # type: ignore[arg-type]


def test_what_can_be_meant_passes(catalog: Catalog, told: Environment) -> None:
    check_request(Request(), catalog)
    check_request(Request(sets=(parse_set("edge:a=1"),)), catalog, told)
    check_request(Request(hub="x.example.com/istio", version="1.20.7"), catalog)
    check_request(Request(version="9.9.9"), catalog, force_version=True)


def test_a_gateway_that_only_the_record_may_know_is_left_to_it(catalog: Catalog) -> None:
    check_request(Request(sets=(parse_set("mine:a=1"),)), catalog)


def test_a_hub_of_ones_own_provides_what_the_region_does_not(catalog: Catalog, told: Environment) -> None:
    check_request(Request(version="1.20.7"), catalog, replace(told, hub="x.example.com/istio"))
    with pytest.raises(CheckError, match="region kr1 does not provide"):
        check_request(Request(version="1.20.7", region="kr1"), catalog, replace(told, hub="x.example.com/istio"))


def test_a_version_that_the_record_may_know_to_be_forced_is_left_to_it(catalog: Catalog) -> None:
    check_request(Request(version="9.9.9", region="kr1"), catalog, record_follows=True)
    with pytest.raises(ConfigError, match=r"'9\.9' is not an Istio version"):
        check_request(Request(version="9.9"), catalog, record_follows=True)
