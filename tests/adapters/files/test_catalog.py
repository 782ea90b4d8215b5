"""The catalog and environments, from real files."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.files.catalog import environment_names, load_catalog, load_environment, load_values_option
from nksmesh.adapters.files.folders import ValuesFolders, packaged
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.versions import newest_that_fits

Write = Callable[[str, str], Path]


HUBS = {
    "kr1": ("한국(판교) 리전", "dfe965c3-kr1-registry.container.nhncloud.com"),
    "kr2": ("한국(평촌) 리전", "6e7f43c6-kr2-registry.container.cloud.toast.com"),
    "kr3": ("한국(광주) 리전", "d6628457-kr3-registry.container.nhncloud.com"),
    "gov-kr2": ("한국(평촌) 리전 (공공)", "ca6dde7d-kr2-registry.container.gov-nhncloud.com"),
}
"""The tables of the NKS guides, the government cloud's included."""

TESTED = ["1.19.0", "1.20.0", "1.20.1", "1.21.6", "1.22.8", "1.23.6", "1.24.6", "1.28.10", "1.29.6", "1.30.2"]


def test_the_regions_are_the_guides_word_for_word() -> None:
    regions = load_catalog(ValuesFolders()).regions
    assert {name: (region.title, region.hubs) for name, region in regions.items()} == {
        name: (
            title,
            {
                Network.PUBLIC: f"{host}/container_service/istio",
                Network.PRIVATE: f"private-{host}/container_service/istio",
            },
        )
        for name, (title, host) in HUBS.items()
    }
    assert {region.versions for region in regions.values()} == {("1.19.0", "1.20.0")}
    assert {region.kubernetes for region in regions.values()} == {("1.25", "1.26", "1.27", "1.28")}
    assert all(region.hosts and region.zones for region in regions.values())


def test_the_catalog_has_every_minor_from_1_17_to_1_31() -> None:
    versions = load_catalog(ValuesFolders()).versions
    assert [entry.minor for entry in versions] == [f"1.{minor}" for minor in range(17, 32)]
    last = {entry.minor: entry.versions[-1] for entry in versions if entry.versions}
    assert last == {
        f"1.{minor}": f"1.{minor}.{patch}"
        for minor, patch in enumerate((10, 8, 6, 8, 6, 6, 5, 8, 9, 10, 6, 3), start=19)
    }
    for entry in versions:
        assert list(entry.versions) == [f"{entry.minor}.{patch}" for patch in range(len(entry.versions))]
        assert set(entry.tested) <= set(entry.versions)


def test_the_end_of_each_minors_support_is_known_but_for_the_newest() -> None:
    ends = {entry.minor: entry.support_ends for entry in load_catalog(ValuesFolders()).versions if entry.versions}
    assert [minor for minor, day in ends.items() if day is None] == ["1.30"]
    known = [day for day in ends.values() if day is not None]
    assert known == sorted(known)
    assert (ends["1.28"], ends["1.29"]) == (date(2026, 7, 1), date(2026, 8, 31))


def test_charts_lock_names_the_versions_that_are_tested() -> None:
    tested = [version for entry in load_catalog(ValuesFolders()).versions for version in entry.tested]
    assert tested == TESTED
    assert {ref.version for ref in LockFile(packaged("charts.lock")).read().entries} == set(tested)


def test_every_kubernetes_that_nks_offers_has_an_istio_and_an_end() -> None:
    catalog = load_catalog(ValuesFolders())
    assert catalog.nks.offered == ("1.32", "1.33", "1.34")
    assert list(catalog.nks.kubernetes) == [f"1.{minor}" for minor in range(28, 35)]
    for minor in catalog.nks.offered:
        assert newest_that_fits(catalog.versions, minor) == "1.30.2"
        assert catalog.nks.kubernetes[minor].support_ends is not None
    assert catalog.nks.kubernetes["1.33"].upgrade_until == date(2027, 11, 30)


def test_entries_of_the_users_are_laid_over_those_that_ship(folders: ValuesFolders, write: Write) -> None:
    write(
        "versions.yaml",
        "'1.32': {kubernetes: ['1.32', '1.36'], floor: '1.32', versions: ['1.32.4'], tested: ['1.32.4']}\n"
        "'1.20': {kubernetes: ['1.25', '1.29'], floor: '1.25', versions: ['1.20.8']}\n",
    )
    write(
        "nks.yaml",
        "as_of: '2027-06-01'\noffered: ['1.35']\nkubernetes:\n  '1.35': {support_ends: '2028-07-31'}\n"
        "clouds:\n  own: {title: our own cloud, domains: [cloud.example.com]}\n",
    )
    before, after = load_catalog(ValuesFolders()), load_catalog(folders)
    assert [entry.minor for entry in after.versions] == [*(entry.minor for entry in before.versions), "1.32"]
    assert newest_that_fits(after.versions, "1.33") == "1.32.4"
    assert next(entry for entry in after.versions if entry.minor == "1.20").versions == ("1.20.8",)
    assert (after.nks.as_of, after.nks.offered) == ("2027-06-01", ("1.35",))
    assert list(after.nks.kubernetes) == [*before.nks.kubernetes, "1.35"]
    assert after.nks.cloud_of("x.cloud.example.com") == "own"
    assert after.nks.clouds["gov"] == before.nks.clouds["gov"]


def test_the_sandbox_is_an_environment_that_ships() -> None:
    environment = load_environment(ValuesFolders(), "sandbox")
    assert (environment.sandbox, environment.region, environment.version, environment.profile) == (
        "default",
        "kr1",
        "1.20.0",
        "default",
    )


def test_reading_catalog_and_environment_is_quick() -> None:
    load_environment(ValuesFolders(), "sandbox")
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        load_catalog(ValuesFolders())
        load_environment(ValuesFolders(), "sandbox")
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.03


def test_an_environment_is_read_in_full(folders: ValuesFolders, write: Write) -> None:
    write(
        "environments/prod/mesh.yaml",
        "network: private\nregion: kr2\ncontext: c\nallow_images: [x/]\ngateways:\n- {name: edge, namespace: e}\n",
    )
    write("environments/prod/istiod.yaml", "pilot: {x: 1}\n")
    environment = load_environment(folders, "prod")
    assert environment.path == "values/environments/prod/mesh.yaml"
    assert (environment.network, environment.region, environment.context) == (Network.PRIVATE, "kr2", "c")
    assert environment.allow_images == ("x/",)
    assert environment.gateways is not None
    assert [(gateway.name, gateway.namespace) for gateway in environment.gateways] == [("edge", "e")]
    assert environment.files["istiod"].values == {"pilot": {"x": 1}}
    assert not environment.files["istiod"].ours
    assert environment_names(folders) == ("prod", "sandbox")


def test_a_packaged_environment_may_be_added_to(folders: ValuesFolders, write: Write) -> None:
    write("environments/sandbox/istiod.yaml", "pilot: {x: 1}\n")
    environment = load_environment(folders, "sandbox")
    assert (environment.sandbox, list(environment.files)) == ("default", ["istiod"])


def test_a_region_and_a_profile_of_the_users_are_one_file_each(folders: ValuesFolders, write: Write) -> None:
    write(
        "regions/jp1.yaml",
        "title: 日本\nregistries: {public: a.example.com/i, private: b.example.com/i}\n"
        "istio: ['1.20.0']\nkubernetes: []\n",
    )
    write("profiles/edge/profile.yaml", "gateways: [{name: edge}]\n")
    write("profiles/edge/edge.yaml", "x: 1\n")
    catalog = load_catalog(folders)
    assert catalog.region("jp1").hubs[Network.PRIVATE] == "b.example.com/i"
    assert catalog.profile("edge").files["edge"].values == {"x": 1}
    assert sorted(catalog.profiles) == ["default", "demo", "edge"]


@pytest.mark.parametrize("name", ["sandbx", "../sandbox", "", "a;b", "sandbox/"])
def test_an_unknown_environment_is_refused_with_the_known(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_environment(ValuesFolders(), name)
    assert raised.value.message == f"there is no environment {name!r}"
    assert "sandbox" in raised.value.hint


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("environments/e/mesh.yaml", "regoin: kr1\n", "values/environments/e/mesh.yaml, line 1: there is no key"),
        ("environments/e/mesh.yaml", "region: [\n", "values/environments/e/mesh.yaml, line 2: it is not YAML"),
        (
            "environments/e/mesh.yaml",
            "gateways:\n- name: a\n- name: a\n",
            "values/environments/e/mesh.yaml, line 3: gateway 'a' is listed twice",
        ),
        ("environments/e/istiod.yml", "a: 1\n", "values/environments/e/istiod.yml: the name must end with .yaml"),
        ("environments/e/istiod.yaml", "- a\n", "values/environments/e/istiod.yaml: it is not a map"),
        ("regions/x.yaml", "title: x\n", "values/regions/x.yaml: the file lacks the key 'registries'"),
        ("versions.yaml", "'1.20': {}\n", "values/versions.yaml, line 1: 1.20 lacks the key 'kubernetes'"),
        ("versions.yaml", "one: {}\n", "values/versions.yaml, line 1: one the key does not look like"),
        (
            "versions.yaml",
            "'1.20':\n  {kubernetes: ['1.25', '1.29'], floor: '1.25', versions: [], support_ends: '2026-02-30'}\n",
            "values/versions.yaml, line 2: 1.20.support_ends is '2026-02-30', which is not a valid date",
        ),
        ("versions.yaml", "'1.20': {versions: [], tseted: []}\n", "values/versions.yaml, line 1: there is no key"),
        ("nks.yaml", "as_of: yesterday\n", "values/nks.yaml, line 1: as_of cannot be 'yesterday'"),
        ("nks.yaml", "kubernetes: {'1.33.4': {}}\n", "values/nks.yaml, line 1: kubernetes.1.33.4 the key does not"),
        ("nks.yaml", "clouds: {gov: {title: x}}\n", "values/nks.yaml, line 1: clouds.gov lacks the key 'domains'"),
        ("regions/kr1.yaml", "hosts: ['a b']\n", "values/regions/kr1.yaml, line 1: hosts[0] cannot be 'a b'"),
        ("regions/kr1.yaml", "zones: kr-pub-a\n", "values/regions/kr1.yaml, line 1: zones must be a list"),
        (
            "versions.yaml",
            "'1.20': {kubernetes: ['1.25'], floor: '1.25', versions: []}\n",
            "values/versions.yaml, line 1: 1.20.kubernetes must have 2 items, not 1",
        ),
        (
            "profiles/demo/istoid.yaml",
            "a: 1\n",
            "values/profiles/demo/istoid.yaml: there is no component or gateway 'istoid'",
        ),
    ],
)
def test_mistakes_in_files_are_told_with_the_file(
    folders: ValuesFolders, write: Write, file: str, text: str, message: str
) -> None:
    write("environments/e/mesh.yaml", "region: kr1\n")
    write(file, text)

    def read() -> None:
        load_catalog(folders)
        load_environment(folders, "e")

    with pytest.raises(ConfigError) as raised:
        read()
    assert raised.value.message.startswith(message)


def test_a_values_option_names_component_and_file(tmp_path: Path) -> None:
    file = tmp_path / "a=b.yaml"
    file.write_text("x: 1\n")
    target, values = load_values_option(f"istiod={file}")
    assert (target, values.path, values.values) == ("istiod", str(file), {"x": 1})


@pytest.mark.parametrize("text", ["x.yaml", "=x.yaml", "istiod=", ""])
def test_a_values_option_without_a_component_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="does not name a component"):
        load_values_option(text)


def test_a_folder_of_charts_is_relative_to_the_users_folder(folders: ValuesFolders, write: Write) -> None:
    write("environments/dev/mesh.yaml", "region: kr1\ncharts: ./charts\n")
    assert folders.user is not None
    assert load_environment(folders, "dev").charts == str(folders.user / "charts")
    write("environments/dev/mesh.yaml", "charts: https://charts.example.com/istio\n")
    assert load_environment(folders, "dev").charts == "https://charts.example.com/istio"
