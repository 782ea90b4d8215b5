"""cni and ztunnel: whether a mesh has them, where they come, and what their charts and istiod are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Catalog, Environment
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.request_check import check_request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import Layer, compose
from nksmesh.domain.values.set_values import parse_set

NODES = Environment(name="nodes", path="p", region="kr1", components=("ztunnel", "cni"))


def values(mesh: Mesh, release: str) -> Any:
    return compose(mesh.layers[release]).values


def test_optional_components_come_behind_istiod_in_the_control_planes_namespace(catalog: Catalog) -> None:
    mesh = resolve(Request(namespace="mesh"), catalog, NODES).mesh
    assert [(release.name, release.namespace) for release in mesh.releases] == [
        ("istio-base", "mesh"),
        ("istiod", "mesh"),
        ("istio-cni", "mesh"),
        ("ztunnel", "mesh"),
        ("istio-ingressgateway", "mesh"),
    ]


def test_optional_components_hold_until_a_profile_or_an_environment_is_named(catalog: Catalog) -> None:
    recorded = Recorded.of(resolve(Request(), catalog, NODES).mesh)
    assert resolve(Request(), catalog, recorded=recorded).mesh.components == NODES.components
    assert resolve(Request(profile="default"), catalog, recorded=recorded).mesh.components == ()
    with_cni = replace(catalog.profiles["default"], components=("cni",))
    profiled = replace(catalog, profiles={**catalog.profiles, "default": with_cni})
    assert resolve(Request(region="kr1"), profiled).mesh.components == ("cni",)
    assert resolve(Request(), profiled, replace(NODES, components=())).mesh.components == ()
    assert resolve(Request(), profiled, replace(NODES, components=None)).mesh.components == ("cni",)
    assert resolve(Request(region="kr1"), catalog, recorded=replace(recorded, components=None)).mesh.components == ()


def test_each_optional_chart_finds_the_hub_where_it_looks_for_it(catalog: Catalog) -> None:
    mesh = resolve(Request(namespace="mesh"), catalog, replace(NODES, pull_secrets=("key",))).mesh
    images = {"hub": "public-kr1.example.com/istio", "tag": "1.20.0", "imagePullSecrets": ["key"]}
    placed = {**images, "istioNamespace": "mesh"}
    assert values(mesh, "istio-cni") == {"global": placed}
    # up to 1.22.3 ztunnel's chart reads its root alone
    assert values(mesh, "ztunnel") == {"global": placed, **placed}


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("1.20.0", {"istio_cni": {"enabled": True}}),
        ("1.21.6", {"istio_cni": {"enabled": True}}),
        ("1.22.0", {"pilot": {"cni": {"enabled": True}}}),
    ],
)
def test_istiod_is_told_of_the_cni_plugin_in_the_key_its_version_has(
    catalog: Catalog, version: str, told: dict[str, Any]
) -> None:
    asked = Request(version=version)
    with_it, without = (
        values(resolve(asked, catalog, replace(NODES, components=some)).mesh, "istiod") for some in (("cni",), ())
    )
    assert with_it != without
    assert with_it == compose([Layer(name="without", values=without), Layer(name="told", values=told)]).values


def test_an_optional_release_needs_a_name_of_its_own(catalog: Catalog) -> None:
    named = replace(NODES, release_names={"cni": "node-cni"})
    assert resolve(Request(), catalog, named).mesh.releases[2].name == "node-cni"
    with pytest.raises(ConfigError, match="base and cni are both named 'istio-base'"):
        resolve(Request(), catalog, replace(NODES, release_names={"cni": "istio-base"}))


def test_ztunnel_without_cni_is_refused(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="ztunnel needs cni to get its pods' traffic"):
        resolve(Request(), catalog, replace(NODES, components=("ztunnel",)))


def test_values_for_a_component_that_the_mesh_does_not_have_are_refused_with_the_way_to_have_it(
    catalog: Catalog,
) -> None:
    asked = Request(sets=(parse_set("ztunnel:logLevel=debug"),))
    assert values(resolve(asked, catalog, NODES).mesh, "ztunnel")["logLevel"] == "debug"
    with pytest.raises(ConfigError, match="--set ztunnel:logLevel: the mesh has no ztunnel") as raised:
        resolve(asked, catalog, replace(NODES, components=("cni",)))
    assert "components: [cni, ztunnel]" in raised.value.hint
    check_request(asked, catalog, replace(NODES, components=None))  # the profile or the record may have it
    with pytest.raises(ConfigError, match="the mesh has no ztunnel"):
        check_request(asked, catalog, replace(NODES, components=("cni",)))
