from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Catalog, Environment, Profile
from nksmesh.domain.mesh.mesh import GatewaySpec, Region
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.release_names import releases_of
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.resolve import resolve

KR1 = Region(name="kr1", title="", hubs={}, versions=("1.20.0",), kubernetes=())
CATALOG = Catalog(regions={"kr1": KR1}, versions=(), profiles={"default": Profile(name="default")})
SAID = Request(hub="registry.example/istio", version="1.20.0")


def names(environment: dict[str, str], recorded: dict[str, str]) -> list[str]:
    told = Environment(name="prod", path="x", release_names=environment) if environment else None
    return [release.name for release in resolve(SAID, CATALOG, told, Recorded(release_names=recorded)).mesh.releases]


@pytest.mark.parametrize(
    ("environment", "recorded", "expected"),
    [
        ({}, {}, ["istio-base", "istiod"]),
        ({}, {"istiod": "istio"}, ["istio-base", "istio"]),
        ({"istiod": "mesh"}, {"istiod": "istio", "base": "base"}, ["base", "mesh"]),
    ],
)
def test_the_environments_word_is_stronger_than_the_records(
    environment: dict[str, str], recorded: dict[str, str], expected: list[str]
) -> None:
    assert names(environment, recorded) == expected


def test_the_record_keeps_the_names() -> None:
    mesh = resolve(SAID, CATALOG, None, Recorded(release_names={"istiod": "istio"})).mesh
    record = Record(settings=Recorded.of(mesh), hub=mesh.hub)
    assert Record.from_data(record.to_data()) == record
    assert record.settings.release_names == {"istiod": "istio"}
    older = record.to_data()
    del older["answers"]["release_names"]
    assert Record.from_data(older).settings.release_names == {}


def test_an_istiod_with_an_istio_revision_is_named_after_it() -> None:
    releases = releases_of("istio-system", (), "1-22-8", {"istiod": "istio"})
    assert [release.name for release in releases] == ["istio-base", "istiod-1-22-8"]


@pytest.mark.parametrize(
    "told", [{"base": "istiod"}, {"istiod": "gateway"}, {"base": "x", "istiod": "x"}, {"base": "No Name"}]
)
def test_names_that_cannot_be(told: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        releases_of("istio-system", (), names=told)


def test_a_gateway_may_not_have_their_names() -> None:
    with pytest.raises(ConfigError, match="already used"):
        releases_of("istio-system", (GatewaySpec(name="istio"),), names={"istiod": "istio"})
