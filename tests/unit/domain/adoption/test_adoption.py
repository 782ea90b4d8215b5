from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.adoption.adoption import HelmMesh, check_options, environment_of, settings_of_mesh
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.catalog import Catalog, Profile, ValuesFile
from nksmesh.domain.mesh.mesh import DeployedRevisions, GatewaySpec, Network, Region
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.plan.preserved_values import layer_of, said_to_helm, sort_out, values_lost
from nksmesh.domain.values.layers import Layer, LayerKind, compose, merge
from nksmesh.domain.values.set_values import parse_set
from tests.unit.domain.meshes import BASE, EDGE, ISTIOD, change, installed

HUB, OTHER = "kr1.example/istio", "registry.example/mirror"
MADE = replace(ISTIOD, name="istio")
REGION = Region(
    name="kr1",
    title="",
    hubs={Network.PUBLIC: HUB, Network.PRIVATE: f"private-{HUB}"},
    versions=("1.19.0", "1.20.0"),
    kubernetes=(),
)
CATALOG = Catalog(regions={"kr1": REGION}, versions=(), profiles={"default": Profile(name="default")})


def istiod_manifests(hub: str, tag: str = "1.20.0", image: str = "proxyv2") -> tuple[Manifest, ...]:
    settings = {"global": {"hub": hub, "tag": tag, "proxy": {"image": image}, "proxy_init": {"image": image}}}
    pod = {"spec": {"containers": [{"name": "discovery", "image": f"{hub}/pilot:{tag}"}]}}
    return (
        {"kind": "ConfigMap", "metadata": {"name": "istio-sidecar-injector"}, "data": {"values": json.dumps(settings)}},
        {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "istiod"}, "spec": {"template": pod}},
    )


def made(*releases: Release, hub: str = HUB, values: dict[str, Any] | None = None, **told: Any) -> HelmMesh:
    istiod = next((release for release in releases if release.component == "istiod"), None)
    return HelmMesh(
        namespace="istio-system",
        releases={
            release: installed(release, values=values if release == istiod and values else {}) for release in releases
        },
        manifests={release: istiod_manifests(hub, **told) if release == istiod else () for release in releases},
    )


def test_releases_under_other_names_are_described() -> None:
    settings = settings_of_mesh(made(BASE, MADE, EDGE), Request(profile="default"), CATALOG)
    assert (settings.region, settings.network, settings.hub, settings.version) == ("kr1", Network.PUBLIC, "", "1.20.0")
    assert settings.release_names == {"istiod": "istio"}
    assert settings.gateways == (GatewaySpec(name="edge", namespace="edge"),)
    mesh = resolve(Request(), CATALOG, None, settings).mesh
    assert mesh.releases == (BASE, MADE, EDGE)


@pytest.mark.parametrize(
    ("hub", "region", "own"), [(HUB, "kr1", ""), (f"private-{HUB}", "kr1", ""), (OTHER, "", OTHER)]
)
def test_the_registry_tells_the_region(hub: str, region: str, own: str) -> None:
    settings = settings_of_mesh(made(BASE, ISTIOD, hub=hub), Request(), CATALOG)
    assert (settings.region, settings.hub) == (region, own)


def test_a_regions_registry_that_has_no_such_version_is_the_users_own() -> None:
    found = made(BASE, ISTIOD)
    later = {release: replace(have, chart_version="1.20.1") for release, have in found.releases.items()}
    settings = settings_of_mesh(replace(found, releases=later), Request(), CATALOG)
    assert (settings.region, settings.hub, settings.version) == ("", HUB, "1.20.1")


def test_images_outside_the_hub_are_admitted() -> None:
    found = made(BASE, ISTIOD, image=f"{OTHER}/proxyv2:1.20.0")
    settings = settings_of_mesh(found, Request(), CATALOG)
    assert (settings.hub, settings.allow_images) == (OTHER, (HUB,))


def test_full_paths_that_our_own_layer_would_set_are_known() -> None:
    full = f"{OTHER}/proxyv2:1.20.0"
    values = {"global": {"proxy": {"image": full}, "proxy_init": {"image": full}}}
    assert settings_of_mesh(made(BASE, ISTIOD, hub=OTHER, values=values), Request(), CATALOG).full_image_paths
    assert not settings_of_mesh(made(BASE, ISTIOD, hub=OTHER), Request(), CATALOG).full_image_paths


def test_an_istio_revision_is_kept_where_the_release_is_named_after_it() -> None:
    revisioned = replace(ISTIOD, name="istiod-1-20-0")
    values = {"revision": "1-20-0", "revisionTags": ["default"]}
    settings = settings_of_mesh(made(BASE, revisioned, values=values), Request(), CATALOG)
    assert (settings.revisions.istio_revision, settings.revisions.tags) == ("1-20-0", ("default",))
    mesh = resolve(Request(), CATALOG, None, settings).mesh
    assert mesh.releases[1] == replace(revisioned, istio_revision="1-20-0")


def test_a_release_that_is_not_named_after_its_istio_revision_keeps_its_name_and_its_values() -> None:
    values = {"revision": "1-20-0", "revisionTags": ["default"]}
    settings = settings_of_mesh(made(BASE, MADE, values=values), Request(), CATALOG)
    assert settings.revisions == DeployedRevisions()
    layer = Layer(name="values given to Helm", values=values, kind=LayerKind.PRESERVED)
    mesh = resolve(Request(), CATALOG, None, replace(settings, layers={MADE.name: (layer,)})).mesh
    assert mesh.releases[1] == replace(MADE, istio_revision="1-20-0")


@pytest.mark.parametrize(
    ("releases", "said"),
    [((BASE,), "no Helm release of the chart istiod"), ((ISTIOD,), "base"), ((BASE, ISTIOD, MADE), "2 Helm releases")],
)
def test_what_is_no_whole_mesh_is_refused(releases: tuple[Release, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings_of_mesh(made(*releases), Request(), CATALOG)


@pytest.mark.parametrize(
    "request_",
    [
        Request(version="1.19.0"),
        Request(hub=OTHER),
        Request(region="kr2"),
        Request(network=Network.PRIVATE),
        Request(sets=(parse_set("istiod:a=b"),)),
        Request(values_files=(("istiod", ValuesFile(path="x", values={})),)),
    ],
)
def test_options_that_say_something_else_are_refused(request_: Request) -> None:
    settings = settings_of_mesh(made(BASE, ISTIOD), request_, CATALOG)
    with pytest.raises(ConfigError):
        refuse_failures(check_options(request_, settings, HUB))


def test_every_option_that_says_something_else_is_named() -> None:
    request = Request(version="1.19.0", region="kr2", hub=f"{HUB}/", sets=(parse_set("istiod:a=b"),))
    findings = check_options(request, settings_of_mesh(made(BASE, ISTIOD), request, CATALOG), HUB)
    assert [(finding.id, finding.subject) for finding in findings] == [
        ("adopt.values-option", ""),
        ("adopt.other-option", "--version"),
        ("adopt.other-option", "--region"),
    ]


OURS = {"global": {"hub": HUB, "tag": "1.20.0", "proxy": {"image": "proxyv2"}}}
DEFAULTS = {"global": {"hub": "docker.io/istio", "tag": "1.20.0", "a": [1]}, "pilot": {"x": 1, "y": {}}}


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"global": {"hub": HUB}},
        {"global": {"tag": "1.19.0", "proxy": {"image": "x/proxyv2:1"}}, "pilot": {"x": None}},
        {"global": None},
        {"pilot": {}, "y": [], "global": {"a": [1, 2]}},
    ],
)
def test_composed_again_every_stored_value_is_there(stored: dict[str, Any]) -> None:
    for defaults in (None, DEFAULTS):
        kept = sort_out(stored, OURS, defaults)
        composed = merge(merge(DEFAULTS, OURS), kept.beyond)
        assert composed == merge(merge(DEFAULTS, OURS), stored)


def test_a_copy_of_the_charts_values_comes_to_nothing() -> None:
    copied = merge(DEFAULTS, {"global": {"hub": HUB}})
    assert sort_out(copied, OURS, DEFAULTS).beyond == {}
    nested = {"_internal_defaults_do_not_set": DEFAULTS}
    assert sort_out({"pilot": {"x": 1}}, OURS, nested).beyond == {}
    assert sort_out({"pilot": {"x": 2}}, OURS, nested).beyond == {"pilot": {"x": 2}}


def test_what_is_added_and_what_is_pinned_is_named() -> None:
    kept = sort_out({"global": {"tag": "1.19.0"}, "pilot": {"image": "", "hub": "h"}}, OURS)
    assert kept.pins == ("global.tag", "pilot.hub")
    assert kept.added == ("global.hub", "global.proxy.image")


def test_an_environment_says_the_same_mesh() -> None:
    found = made(BASE, MADE, EDGE, hub=OTHER)
    settings = settings_of_mesh(found, Request(profile="default"), CATALOG)
    layers = {"istio": layer_of(MADE, {"pilot": {"x": 2}}), "edge": layer_of(EDGE, {"service": {"type": "NodePort"}})}
    mesh = resolve(Request(), CATALOG, None, replace(settings, layers=layers)).mesh
    files = environment_of(mesh, "prod-context")
    assert files["mesh.yaml"] == {
        "context": "prod-context",
        "hub": OTHER,
        "version": "1.20.0",
        "profile": "default",
        "releases": {"istiod": "istio"},
        "gateways": [{"name": "edge", "namespace": "edge"}],
    }
    assert {name: values for name, values in files.items() if name != "mesh.yaml"} == {
        "istiod.yaml": {"pilot": {"x": 2}},
        "edge.yaml": {"service": {"type": "NodePort"}},
    }
    assert compose(mesh.layers["istio"]).values["pilot"] == {"x": 2}


@pytest.mark.parametrize("nest", ["", "defaults"])
def test_what_somebody_wrote_into_the_charts_own_values_was_said_to_helm_too(nest: str) -> None:
    published = {"pilot": {"autoscaleEnabled": True, "cpu": 1}, "global": {"tag": "1.20.0"}}
    images = {"tag": "mine", "hub": "registry.example", "proxy": {"image": "registry.example/proxyv2:mine"}}
    edited = {"pilot": {"autoscaleEnabled": False, "cpu": 1}, "global": images}
    found = installed(ISTIOD, values={"pilot": {"cpu": 2}}, chart_values={nest: edited} if nest else edited)
    said = said_to_helm(found, {nest: published} if nest else published)
    assert said == {"pilot": {"autoscaleEnabled": False, "cpu": 2}}
    assert said_to_helm(replace(found, chart_values=published), published) == {"pilot": {"cpu": 2}}
    assert said_to_helm(replace(found, chart_values={}), published) == {"pilot": {"cpu": 2}}


def test_values_that_would_be_lost_are_those_that_nobody_else_sets() -> None:
    stored = {"pilot": {"cpu": 2, "memory": None}, "global": {"hub": "h"}}
    layers = (Layer(name="region", values={"global": {"hub": "other"}}),)
    found = installed(ISTIOD, values=stored, chart_values={"pilot": {"autoscaleEnabled": False}})
    assert values_lost(change(ISTIOD, layers=layers, installed=found)) == ("pilot.autoscaleEnabled", "pilot.cpu")
    older = replace(found, chart_version="1.19.0")
    assert values_lost(change(ISTIOD, layers=layers, installed=older)) == ("pilot.cpu",)
    assert values_lost(change(ISTIOD, layers=layers)) == ()
