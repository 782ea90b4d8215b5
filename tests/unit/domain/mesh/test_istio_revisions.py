"""A mesh whose istiod has an Istio revision: names, and which values say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.domain.mesh.catalog import Catalog
from nksmesh.domain.mesh.mesh import DeployedRevisions, Mesh
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import compose
from nksmesh.domain.values.set_values import parse_set
from nksmesh.engine.pipeline import chart_refs

OURS = {"revision", "revisionTags", "defaultRevision"}
STANDING = DeployedRevisions(istio_revision="1-20-1", default_revision="1-20-1", tags=("default", "prod"))


def values(mesh: Mesh, component: str) -> dict[str, object]:
    release = next(one for one in mesh.releases if one.component == component)
    return {key: one for key, one in compose(mesh.layers[release.name]).values.items() if key in OURS}


def recorded(standing: DeployedRevisions, version: str = "1.20.1") -> Recorded:
    return Recorded(hub="hub.example/istio", version=version, profile="default", revisions=standing)


def test_its_release_is_named_after_it_and_its_values_say_so(catalog: Catalog) -> None:
    mesh = resolve(Request(), catalog, None, recorded(STANDING)).mesh
    assert [(release.name, release.istio_revision) for release in mesh.releases] == [
        ("istio-base", ""),
        ("istiod-1-20-1", "1-20-1"),
        ("istio-ingressgateway", ""),
    ]
    assert values(mesh, "istiod") == {"revision": "1-20-1", "revisionTags": ["default", "prod"]}
    assert values(mesh, "base") == {"defaultRevision": "1-20-1"}
    assert values(mesh, "gateway") == {}  # it follows the tag default: its pods keep their labels
    assert Recorded.of(mesh).revisions == STANDING


def test_beside_a_canary_the_validator_still_calls_the_default_one(catalog: Catalog) -> None:
    canary = DeployedRevisions(istio_revision="1-20-1")
    mesh = resolve(Request(), catalog, None, recorded(canary)).mesh
    assert values(mesh, "istiod") == {"revision": "1-20-1"}
    assert values(mesh, "base") == {}


def test_an_istiod_without_a_revision_may_have_tags(catalog: Catalog) -> None:
    mesh = resolve(Request(), catalog, None, recorded(DeployedRevisions(tags=("prod",)))).mesh
    assert values(mesh, "istiod") == {"revisionTags": ["prod"]}


@pytest.mark.parametrize(
    ("version", "base"), [("1.20.1", "1.22.8"), ("1.21.6", "1.22.8"), ("1.22.8", "1.22.8"), ("1.23.6", "1.23.6")]
)
def test_a_base_that_an_aborted_canary_left_never_goes_back(catalog: Catalog, version: str, base: str) -> None:
    standing = replace(DeployedRevisions(), base_version="1.22.8")
    mesh = resolve(Request(version=version), catalog, None, recorded(standing)).mesh
    refs = chart_refs(mesh)
    assert (refs["base"].version, refs["istiod"].version) == (base, version)


def test_a_revision_in_values_is_the_releases_own_and_its_name_stays(catalog: Catalog) -> None:
    sets = tuple(parse_set(f"{name}:revision=1-20-0") for name in ("istiod", "gateway"))
    mesh = resolve(Request(hub="hub.example/istio", version="1.20.0", sets=sets), catalog).mesh
    assert [(release.name, release.istio_revision) for release in mesh.releases] == [
        ("istio-base", ""),
        ("istiod", "1-20-0"),
        ("istio-ingressgateway", "1-20-0"),
    ]
    labelled = (parse_set("gateway:labels.istio\\.io/rev=prod"),)
    mesh = resolve(Request(hub="hub.example/istio", version="1.20.0", sets=labelled), catalog).mesh
    assert [release.istio_revision for release in mesh.releases] == ["", "", "prod"]
    plain = (parse_set("istiod:revision=default"),)
    mesh = resolve(Request(hub="hub.example/istio", version="1.20.0", sets=plain), catalog).mesh
    assert {release.istio_revision for release in mesh.releases} == {""}
