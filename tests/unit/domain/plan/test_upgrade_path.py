"""The road from one version to another, in place."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.findings import Level, refuse_failures
from nksmesh.domain.mesh.mesh import IstioVersion, Network, Region
from nksmesh.domain.mesh.versions import VersionQuestion
from nksmesh.domain.plan.upgrade_path import (
    UpgradePath,
    another_version,
    find_upgrade_path,
    proxies_too_old,
)

KNOWN = tuple(
    IstioVersion(minor=minor, kubernetes_min=low, kubernetes_max=high, kubernetes_floor=floor, versions=versions)
    for minor, low, high, floor, versions in (
        ("1.19", "1.25", "1.28", "1.25", ("1.19.0",)),
        ("1.20", "1.25", "1.29", "1.25", ("1.20.0", "1.20.1", "1.20.10", "1.20.9")),
        ("1.21", "1.26", "1.29", "1.26", ("1.21.6",)),
        ("1.22", "1.27", "1.30", "1.26", ("1.22.8",)),
        ("1.23", "1.27", "1.30", "1.26", ()),
        ("1.24", "1.29", "1.31", "1.29", ("1.24.6",)),
    )
)
KR1 = Region(
    name="kr1",
    title="KR1",
    hubs=dict.fromkeys(Network, "registry.example.com/istio"),
    versions=("1.19.0", "1.20.0", "1.22.8"),
    kubernetes=("1.28",),
)


def road(installed: str, wanted: str, *, unfinished: bool = False, **more: Any) -> UpgradePath:
    question = VersionQuestion(version=wanted, verb="upgrade", **{"kubernetes": "v1.28.15", **more})
    return find_upgrade_path(question, KNOWN, installed=installed, unfinished=unfinished)


def hops(found: UpgradePath) -> list[str]:
    return [hop.version for hop in found.hops]


@pytest.mark.parametrize(
    ("installed", "wanted", "way"),
    [
        ("1.19.0", "1.20.0", ["1.20.0"]),
        ("1.20.0", "1.20.10", ["1.20.10"]),
        ("1.20.10", "1.20.0", ["1.20.0"]),
        ("1.20.0", "1.20.0", ["1.20.0"]),
        ("1.19.0", "1.21.6", ["1.20.10", "1.21.6"]),
        ("1.19.0", "1.22.8", ["1.20.10", "1.21.6", "1.22.8"]),
        ("1.21.6", "1.20.1", ["1.20.1"]),
    ],
)
def test_it_goes_a_minor_a_step_by_the_newest_of_each(installed: str, wanted: str, way: list[str]) -> None:
    found = road(installed, wanted)
    assert hops(found) == way
    assert not any(hop.findings for hop in found.hops)


def test_the_regions_registry_decides_which_versions_there_are() -> None:
    found = road("1.19.0", "1.22.8", region=KR1)
    assert hops(found) == ["1.20.0", "1.21", "1.22.8"]
    (missing,) = found.hops[1].failures
    assert (
        missing.message == "the registry of region kr1 has no version of Istio 1.21, which this upgrade passes through"
    )
    assert "--hub" in missing.hint
    assert hops(road("1.19.0", "1.22.8", region=KR1, own_hub=True)) == ["1.20.10", "1.21.6", "1.22.8"]


def test_a_minor_that_nobody_knows_a_version_of_closes_the_road_there_even_by_force() -> None:
    found = road("1.22.8", "1.24.6", forced=True)
    assert hops(found) == ["1.23", "1.24.6"]
    (missing,) = found.hops[0].failures
    assert missing.message == "no version of Istio 1.23 is known, which this upgrade passes through"
    assert "nksmesh upgrade --to 1.23.X" in missing.hint


def test_what_the_cluster_does_not_run_closes_it_unless_it_is_forced() -> None:
    closed, forced = road("1.22.8", "1.24.6").hops[-1], road("1.22.8", "1.24.6", forced=True).hops[-1]
    assert "does not run on Kubernetes 1.28" in closed.failures[0].message
    assert [finding.level for finding in forced.findings] == [Level.WARNING]
    again = road("1.24.6", "1.24.6", forced_before=[closed.failures[0].message]).hops[-1]
    assert [finding.level for finding in again.findings] == [Level.WARNING]
    assert road("1.19.0", "1.20.0").told() == ("1. 1.19.0 -> 1.20.0",)
    assert road("1.22.8", "1.24.6").told()[1] == f"2. 1.23 -> 1.24.6; {closed.findings[0].message}"


def test_what_was_begun_is_finished_before_another_minor() -> None:
    found = road("1.20.0", "1.21.6", unfinished=True)
    assert (hops(found), found.hops[0].finishes) == (["1.20.0", "1.21.6"], True)
    assert found.told() == ("1. finish 1.20.0", "2. 1.20.0 -> 1.21.6")
    # a patch, or the way back, mends it too
    assert hops(road("1.20.0", "1.20.1", unfinished=True)) == ["1.20.1"]
    assert hops(road("1.20.0", "1.19.0", unfinished=True)) == ["1.19.0"]


def test_down_it_goes_by_one_minor() -> None:
    with pytest.raises(CheckError, match=r"1\.22\.8 to 1\.20\.0 spans 2 minor versions") as caught:
        refuse_failures(road("1.22.8", "1.20.0").findings)
    assert "1.21" in caught.value.hint


@pytest.mark.parametrize("wanted", ["2.0.0", "1.999.0"])
def test_there_is_no_road_to_nowhere(wanted: str) -> None:
    found = road("1.20.0", wanted)
    assert found.hops == ()
    with pytest.raises(CheckError, match="cannot upgrade in place"):
        refuse_failures(found.findings)


def test_a_canary_is_named_where_one_can_go() -> None:
    assert road("1.20.0", "1.22.8").canary is True
    assert road("1.19.0", "1.22.8").canary is False
    assert road("1.19.0", "1.20.0").canary is False
    assert road("1.20.0", "1.21.6", unfinished=True).canary is False, "what is half done is finished first"


def test_only_upgrade_changes_the_version() -> None:
    assert another_version("1.20.0", "1.20.0") == ()
    with pytest.raises(ConfigError, match=r"1\.19\.0 is installed, but 1\.20\.0 was requested") as caught:
        refuse_failures(another_version("1.19.0", "1.20.0"))
    assert "nksmesh upgrade --to 1.20.0" in caught.value.hint
    assert "--version 1.19.0" in caught.value.hint
    with pytest.raises(ConfigError, match=r"the default version is 1\.20\.0") as caught:
        refuse_failures(another_version("1.22.8", "1.20.0", asked=False))
    assert "upgrade" not in caught.value.hint


@pytest.mark.parametrize(
    ("image", "too_old"),
    [
        ("r.example:5000/istio/proxyv2:1.19.0", True),
        ("r.example/istio/proxyv2:1.19.0-distroless", True),
        ("r.example/istio/proxyv2:v1.19", True),
        ("r.example/istio/proxyv2:1.20.1", False),
        ("r.example/istio/proxyv2:1.22.0", False),
        ("r.example/istio/proxyv2:1.9.0", True),
        ("r.example:1.19/proxyv2", False),
        ("r.example/istio/proxyv2:release-1.19", False),
        ("r.example/istio/proxyv2", False),
    ],
)
def test_a_proxy_two_minors_behind_is_too_old(image: str, too_old: bool) -> None:
    assert proxies_too_old([image], "1.21.6") == ((image,) if too_old else ())
