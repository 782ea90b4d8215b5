"""Istio versions against Kubernetes versions and regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.mesh.mesh import IstioVersion, Network, Region
from nksmesh.domain.mesh.versions import (
    VersionQuestion,
    check_version,
    forgiven,
    newest,
    parse_kubernetes,
    parse_version,
)

KNOWN = tuple(
    IstioVersion(minor=minor, kubernetes_min=low, kubernetes_max=high, kubernetes_floor=floor, versions=versions)
    for minor, low, high, floor, versions in (
        ("1.20", "1.25", "1.29", "1.25", ("1.20.0", "1.20.1")),
        ("1.22", "1.27", "1.30", "1.26", ("1.22.8",)),
        ("1.28", "1.30", "1.34", "1.29", ("1.28.10",)),
        ("1.30", "1.32", "1.36", "1.32", ()),
    )
)
KR1 = Region(
    name="kr1",
    title="한국(판교) 리전",
    hubs={Network.PUBLIC: "registry.example.com/istio"},
    versions=("1.19.0", "1.20.0"),
    kubernetes=("1.25", "1.26", "1.27", "1.28"),
)


def check(version: str, kubernetes: str, **more: Any) -> tuple[Finding, ...]:
    return check_version(VersionQuestion(version=version, kubernetes=kubernetes, **more), KNOWN)


def levels(findings: tuple[Finding, ...]) -> list[Level]:
    return [finding.level for finding in findings]


@pytest.mark.parametrize("kubernetes", ["1.25", "v1.28.15", "v1.28.15+gke.1", "1.26+", "v1.27.3-nhn", ""])
def test_what_nks_lists_is_silent(kubernetes: str) -> None:
    assert check("1.20.0", kubernetes, region=KR1) == ()


def test_istio_supports_it_but_nks_does_not_list_it() -> None:
    (finding,) = check("1.20.0", "v1.29.1", region=KR1)
    assert finding.level is Level.WARNING
    assert finding.message == "NKS does not list Kubernetes 1.29 for Istio 1.20.0, though Istio itself supports it"
    assert check("1.20.0", "v1.29.1", region=KR1, own_hub=True) == ()


@pytest.mark.parametrize(
    ("version", "kubernetes"), [("1.20.0", "v1.24.9"), ("1.28.10", "v1.28.0"), ("1.20.0", "v1.30.0")]
)
def test_below_the_floor_or_above_the_maximum_is_refused_unless_forced(version: str, kubernetes: str) -> None:
    findings = check(version, kubernetes, own_hub=True)
    with pytest.raises(CheckError) as raised:
        refuse_failures(findings)
    assert raised.value.exit_code == 7
    assert version in raised.value.message
    assert "--force-version" in raised.value.hint
    forced = check(version, kubernetes, own_hub=True, forced=True)
    assert levels(forced) == [Level.WARNING]
    refuse_failures(forced)


def test_what_was_gone_on_with_once_is_a_warning_as_long_as_it_is_the_very_same() -> None:
    question = VersionQuestion(version="1.28.10", kubernetes="v1.28.0", region=KR1)
    assert forgiven(question, KNOWN) == ()
    found = forgiven(replace(question, forced=True), KNOWN)
    assert len(found) == 2
    again = replace(question, kubernetes="v1.28.15", forced_before=found)
    findings = check_version(again, KNOWN)
    refuse_failures(findings)
    assert all("an earlier run was given --force-version" in finding.message for finding in findings)
    assert forgiven(again, KNOWN) == found
    # another version, another Kubernetes minor, another region
    for other in (
        replace(again, version="1.28.9"),
        replace(again, kubernetes="v1.27.1"),
        replace(again, region=replace(KR1, name="kr2")),
    ):
        with pytest.raises(CheckError):
            refuse_failures(check_version(other, KNOWN))
        assert set(forgiven(other, KNOWN)) < set(found)


def test_between_the_floor_and_the_supported_range_is_a_warning() -> None:
    assert levels(check("1.22.8", "v1.26.4", own_hub=True)) == [Level.WARNING]


def test_a_version_the_registry_lacks_is_refused_with_what_it_has() -> None:
    (finding,) = check("1.22.8", "v1.28.0", region=KR1)
    assert finding.level is Level.FAILURE
    assert finding.message == "the registry of region kr1 does not provide Istio 1.22.8"
    assert "1.19.0, 1.20.0" in finding.hint
    assert check("1.22.8", "v1.28.0", region=KR1, own_hub=True) == ()
    assert levels(check("1.22.8", "v1.28.0", region=KR1, forced=True)) == [Level.WARNING]


def test_an_unknown_patch_of_a_known_minor_is_a_warning_with_a_hub_of_ones_own() -> None:
    (finding,) = check("1.20.7", "", own_hub=True)
    assert (finding.level, finding.hint) == (Level.WARNING, "Of 1.20 it has 1.20.0, 1.20.1.")
    assert "has no 1.30 release" in check("1.30.1", "", own_hub=True)[0].hint


def test_an_unknown_minor_is_an_error_with_the_nearest_unless_forced() -> None:
    with pytest.raises(CheckError, match=r"1\.2\.0") as raised:
        refuse_failures(check("1.2.0", "", own_hub=True))
    assert "Did you mean" in raised.value.hint
    assert levels(check("1.2.0", "v1.28.0", own_hub=True, forced=True)) == [Level.WARNING]


@pytest.mark.parametrize("version", ["1.20", "v1.20.0", "1.20.0;ls", "latest", "1.20.0\n", "", "1.20.00000", "$(x)"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="is not an Istio version"):
        parse_version(version)


@pytest.mark.parametrize("version", ["", "one", "1", "1.28;x"])
def test_what_is_no_kubernetes_version_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="is not a Kubernetes version"):
        parse_kubernetes(version)


def test_the_newest_is_by_number() -> None:
    assert newest(["1.9.0", "1.20.0", "1.19.0"]) == "1.20.0"
    with pytest.raises(ConfigError):
        newest([])
