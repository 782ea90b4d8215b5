"""Where a cluster is: hosts and zones, as the region files that ship with nksmesh describe them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.common.findings import Level
from nksmesh.domain.mesh.location import (
    Location,
    check_location,
    check_registry,
    check_support,
    locate,
    region_of_host,
    zones_may_tell,
)

CATALOG = load_catalog(ValuesFolders())
REGIONS, NKS = CATALOG.regions, CATALOG.nks
KR1 = "https://1a2b3c4d-nks-kr1.container.nhncloud.com:6443"
GOV_KR2 = "https://1a2b3c4d-nks-kr2.container.gov-nhncloud.com:6443"
VPC = "https://192.168.0.10:6443"


def told(host: str, *zones: str) -> str:
    return locate(host, zones, REGIONS, NKS).region


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (KR1, "kr1"),
        ("1a2b3c4d-nks-kr2.container.nhncloud.com", "kr2"),
        ("1a2b3c4d-nks-kr3.container.nhncloud.com:6443", "kr3"),
        ("https://1a2b3c4d-kr1-k8s.container.cloud.toast.com:6443", "kr1"),
        ("1a2b3c4d-kr2-k8s.container.cloud.toast.com", "kr2"),
        ("HTTPS://1A2B3C4D-NKS-KR3.CONTAINER.NHNCLOUD.COM:6443/", "kr3"),
        ("1a2b3c4d-nks-kr1.container.nhncloud.com.", "kr1"),
        (GOV_KR2, "gov-kr2"),
        ("1a2b3c4d-kr2-k8s.container.gov-nhncloud.com", "gov-kr2"),
        # the domain decides the cloud: the government's Pangyo has no registry with Istio
        ("1a2b3c4d-nks-kr1.container.gov-nhncloud.com", ""),
        ("1a2b3c4d-nks-kr3.container.gov-nhncloud.com", ""),
        ("1a2b3c4d-nks-kr1.container.gncloud.go.kr", ""),
        ("1a2b3c4d-nks-kr4.container.ngsc.go.kr", ""),
        ("1a2b3c4d-nks-kr9.container.nhncloud.com", ""),
        ("1a2b3c4d-nks-kr10.container.nhncloud.com", ""),
        # the beginning, the end, and the parts of a host must be those of NHN
        ("1a2b3c4d-nks-kr1.container.nhncloud.com.example.com", ""),
        ("evil-1a2b3c4d-nks-kr1.container.nhncloud.com", ""),
        ("evil.example.com-nks-kr1.container.nhncloud.com", ""),
        ("-nks-kr1.container.nhncloud.com", ""),
        ("1a2b3c4d-nks-kr1.container.nhncloudxcom", ""),
        ("1a2b3c4d-nks-kr1xcontainer.nhncloud.com", ""),
        ("1a2b3c4d-nks-kr1.container.evil-nhncloud.com", ""),
        ("https://1a2b3c4d-nks-kr1.container.nhncloud.com@example.com", ""),
        ("https://example.com/1a2b3c4d-nks-kr1.container.nhncloud.com", ""),
        ("https://example.com?1a2b3c4d-nks-kr1.container.nhncloud.com", ""),
        # others
        ("nks_cluster_1a2b3c4d-nks-kr1", ""),
        ("kr1.example.com", ""),
        ("1a2b3c4d.kr.vnks.ntruss.com", ""),
        ("192.168.0.10", ""),
        ("https://[fd00::1]:6443", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_a_host_tells_its_region_only_as_a_whole(host: str, region: str) -> None:
    assert region_of_host(host, REGIONS) == region
    assert told(host) == region


@pytest.mark.parametrize(
    ("zones", "region"),
    [
        (("kr-pub-a",), "kr1"),
        (("kr-pub-a", "kr-pub-b", "kr-pub-a"), "kr1"),
        (("kr2-pub-b",), "kr2"),
        (("kr3-pub-a",), "kr3"),
        (("kr-pub-a", ""), "kr1"),
        (("kr-pub-a", "kr2-pub-a"), ""),
        (("kr-pub-a", "rack-7"), ""),
        (("jp-pub-a",), ""),
        (("kr20-pub-a",), ""),
        (("my-kr-pub-a",), ""),
        (("KR-1",), ""),
        (("",), ""),
        ((), ""),
    ],
)
def test_the_nodes_zones_tell_a_region_where_all_agree(zones: tuple[str, ...], region: str) -> None:
    assert told(VPC, *zones) == region
    assert told("api.shop.internal", *zones) == region


@pytest.mark.parametrize(
    "host",
    [
        "1a2b3c4d-nks-kr1.container.gov-nhncloud.com",
        "10-0-0-4.gov-nhncloud.com",
        "x.container.gncloud.go.kr",
        "x.ngsc.go.kr",
        "x.ninc.go.kr",
        "x.ngoic.com",
        "x.ngovc.com",
    ],
)
def test_zones_tell_nothing_against_the_domain_of_another_cloud(host: str) -> None:
    assert not zones_may_tell(host, REGIONS, NKS)
    assert told(host, "kr-pub-a") == ""


def test_zones_are_read_only_where_the_host_does_not_tell() -> None:
    assert not zones_may_tell(KR1, REGIONS, NKS)
    assert not zones_may_tell(GOV_KR2, REGIONS, NKS)
    assert zones_may_tell(VPC, REGIONS, NKS)
    assert zones_may_tell("private.container.nhncloud.com", REGIONS, NKS)


def test_it_is_said_what_told_the_region() -> None:
    assert locate(KR1, (), REGIONS, NKS).read_from == "the API server's host"
    assert locate(VPC, ("kr-pub-b", "kr-pub-a"), REGIONS, NKS).read_from == "the nodes' zones (kr-pub-a, kr-pub-b)"


@pytest.mark.parametrize(
    ("host", "zone", "doubt"),
    [
        (VPC, "kr-pub-a", "the government cloud"),
        (VPC, "kr2-pub-a", "the government cloud"),
        (VPC, "kr3-pub-a", ""),
        ("private.container.nhncloud.com", "kr-pub-a", ""),
    ],
)
def test_zones_that_another_cloud_has_too_are_taken_with_a_warning(host: str, zone: str, doubt: str) -> None:
    location = locate(host, (zone,), REGIONS, NKS)
    found = check_location(location, location.region, REGIONS, NKS, by_default=True)
    assert location.doubt == doubt
    assert len(found) == bool(doubt)
    if doubt:
        assert found[0].level is Level.WARNING
        assert f"{zone}), but the government cloud has such zones, too" in found[0].message
        assert f"--region {location.region}" in found[0].hint
        assert "--hub" in found[0].hint
    assert check_location(location, location.region, REGIONS, NKS, by_default=False) == ()


def mismatch(host: str, chosen: str, *zones: str) -> str:
    found = check_location(locate(host, zones, REGIONS, NKS), chosen, REGIONS, NKS, by_default=False)
    assert all(finding.level is Level.WARNING for finding in found)
    return " / ".join(f"{finding.message} | {finding.hint}" for finding in found)


def test_another_region_than_the_clusters_is_a_warning() -> None:
    assert mismatch(KR1, "kr2") == (
        "the registry of region kr2 is used, but the API server's host (1a2b3c4d-nks-kr1.container.nhncloud.com) is of "
        "region kr1 | Pass --region kr1 to use the cluster's own registry."
    )
    assert "the nodes' zones (kr-pub-a) are those of region kr1" in mismatch(VPC, "kr2", "kr-pub-a")
    assert "is a host of the government cloud | Pass --region gov-kr2 to use the cluster's own registry." in mismatch(
        GOV_KR2, "kr2"
    )
    assert "is a host of the government cloud | Run nksmesh regions" in mismatch(
        "x-nks-kr1.container.gov-nhncloud.com", "kr1"
    )
    assert "is a host of the public cloud" in mismatch("x-nks-kr2.container.nhncloud.com", "gov-kr2")
    assert "those of region kr1" in mismatch(VPC, "gov-kr2", "kr-pub-a")


@pytest.mark.parametrize(
    ("host", "chosen", "zones"),
    [
        (KR1, "kr1", ()),
        (GOV_KR2, "gov-kr2", ()),
        (VPC, "gov-kr2", ("kr2-pub-a",)),
        (VPC, "kr1", ()),
        (VPC, "kr1", ("rack-1",)),
        ("kubernetes.example", "kr3", ()),
        (KR1, "", ()),
        (KR1, "unknown", ()),
    ],
)
def test_what_does_not_contradict_is_silent(host: str, chosen: str, zones: tuple[str, ...]) -> None:
    assert mismatch(host, chosen, *zones) == ""


def test_a_region_of_ones_own_that_does_not_say_where_it_is_contradicts_nothing() -> None:
    mine = replace(REGIONS["kr2"], name="mine", hosts=(), zones=())
    found = check_location(locate(KR1, (), REGIONS, NKS), "mine", {**REGIONS, "mine": mine}, NKS, by_default=False)
    assert found == ()


@pytest.mark.parametrize(
    ("minor", "today", "level", "message"),
    [
        ("1.33", date(2026, 11, 25), Level.NOTE, "NKS supports Kubernetes 1.33 until 2027-01-31 (as of 2026-11-25)"),
        ("1.33", date(2027, 1, 31), Level.NOTE, "NKS supports Kubernetes 1.33 until 2027-01-31 (as of 2026-11-25)"),
        ("1.33", date(2027, 2, 1), Level.WARNING, "NKS ended its support of Kubernetes 1.33 on 2027-01-31"),
        (
            "1.31",
            date(2026, 11, 25),
            Level.WARNING,
            "NKS planned to end its support of Kubernetes 1.31 on 2026-08-31 (as of 2026-11-25)",
        ),
        (
            "1.32",
            date(2026, 11, 25),
            Level.NOTE,
            "NKS plans to end its support of Kubernetes 1.32 on 2027-02-28 (as of 2026-11-25)",
        ),
        ("1.27", date(2026, 11, 25), Level.WARNING, "NKS no longer supports Kubernetes 1.27 (as of 2026-11-25)"),
    ],
)
def test_the_end_of_nks_support_is_said_of_a_cluster_of_nks(
    minor: str, today: date, level: Level, message: str
) -> None:
    (found,) = check_support(locate(KR1, (), REGIONS, NKS), minor, NKS, today)
    assert (found.level, found.message) == (level, message)
    assert check_support(Location(host="127.0.0.1"), minor, NKS, today) == ()


def test_of_a_kubernetes_that_the_table_does_not_have_yet_nothing_is_said() -> None:
    assert check_support(locate(KR1, (), REGIONS, NKS), "1.35", NKS, date(2026, 11, 25)) == ()


@pytest.mark.parametrize(
    ("host", "zones", "hub", "warned"),
    [
        (KR1, (), "0a1b2c3d-kr1-registry.container.nhncloud.com/team/istio", False),
        (KR1, (), "private-0a1b2c3d-kr1-registry.container.cloud.toast.com/team/istio", False),
        (KR1, (), "0a1b2c3d-kr2-registry.container.nhncloud.com/team/istio", True),
        (VPC, ("kr2-pub-a",), "0a1b2c3d-kr1-registry.container.nhncloud.com/team/istio", True),
        (VPC, ("kr2-pub-a",), "6e7f43c6-kr2-registry.container.cloud.toast.com/x", False),
        (GOV_KR2, (), "0a1b2c3d-kr2-registry.container.nhncloud.com/team/istio", True),
        (GOV_KR2, (), "0a1b2c3d-kr2-registry.container.gov-nhncloud.com/team/istio", False),
        (VPC, (), "0a1b2c3d-kr1-registry.container.nhncloud.com/team/istio", False),
        (KR1, (), "registry.example.com/istio", False),
    ],
)
def test_a_registry_of_ncr_in_another_region_is_a_warning(
    host: str, zones: tuple[str, ...], hub: str, warned: bool
) -> None:
    found = check_registry(locate(host, zones, REGIONS, NKS), hub, REGIONS, NKS)
    assert [finding.id for finding in found] == (["location.registry-elsewhere"] if warned else [])
    assert all(finding.level is Level.WARNING and hub.partition("/")[0] in finding.message for finding in found)
