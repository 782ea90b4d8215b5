"""Hosts of NCR: which region they are in, and their address in a private network."""

from __future__ import annotations

import pytest

from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.ncr import hub_for, is_private, region_code, same_registry

OWN = "0a1b2c3d-kr1-registry.container.nhncloud.com"


@pytest.mark.parametrize(
    ("hub", "code"),
    [
        (f"{OWN}/team/istio", "kr1"),
        (f"private-{OWN}", "kr1"),
        ("6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio", "kr2"),
        ("af80e8b3-kr-registry.container.gov-nhncloud.com/x", "kr"),
        ("4b251859-kr4-registry.container.ngsc.go.kr/x", "kr4"),
        ("registry.example.com/istio", ""),
        (f"mirror.{OWN}/istio", ""),
        ("docker.io/istio", ""),
        ("127.0.0.1:5000/0a1b2c3d-kr1-registry.container.nhncloud.com", ""),
    ],
)
def test_a_host_of_ncr_tells_its_region(hub: str, code: str) -> None:
    assert region_code(hub) == code


def test_ncr_alone_has_another_address_in_a_private_network() -> None:
    private = f"private-{OWN}/team/istio"
    for hub in (f"{OWN}/team/istio", private):
        assert hub_for(hub, Network.PRIVATE) == private
        assert hub_for(hub, Network.PUBLIC) == f"{OWN}/team/istio"
    assert hub_for("private-registry.example.com/istio", Network.PUBLIC) == "private-registry.example.com/istio"
    assert hub_for("registry.example.com/istio", Network.PRIVATE) == "registry.example.com/istio"


def test_the_two_hosts_of_one_ncr_share_a_login_and_those_of_nobody_else() -> None:
    assert same_registry(OWN, f"private-{OWN}")
    assert same_registry(f"private-{OWN}", OWN)
    assert not same_registry(OWN, f"private-{OWN}.example.com")
    # anybody may have a domain of that name
    assert not same_registry("example.com", "private-example.com")
    assert is_private(f"private-{OWN}/team")
    assert not is_private("private-example.com/team")
