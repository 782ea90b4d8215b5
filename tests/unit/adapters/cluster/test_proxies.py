"""Which proxy is used: as golang.org/x/net/http/httpproxy decides it for Helm."""

from __future__ import annotations

import pytest

from nksmesh.adapters.cluster.proxies import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    "server",
    [
        "https://127.0.0.1:6443",
        "https://localhost:6443",
        "https://[::1]:6443",
        "https://127.8.0.1",
        "https://LOCALHOST",
    ],
)
def test_this_machine_is_reached_without_a_proxy(server: str) -> None:
    assert proxy_for(server, {"HTTPS_PROXY": PROXY}) == ""


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "http://other.example"}, PROXY),
        ({"HTTP_PROXY": PROXY}, ""),
        ({"ALL_PROXY": PROXY}, ""),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
    ],
)
def test_the_proxy_is_that_of_the_scheme(environ: dict[str, str], used: str) -> None:
    assert proxy_for("https://k.example:6443", environ) == used


@pytest.mark.parametrize(
    ("server", "no_proxy", "spared"),
    [
        ("https://10.1.2.3:6443", "10.0.0.0/8", True),
        ("https://11.1.2.3:6443", "10.0.0.0/8", False),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:443", False),
        ("https://[fd00::7]:6443", "fd00::/8", True),
        ("https://[fd00::7]:6443", "[fd00::7]:6443", True),
        ("https://k.example:6443", "10.0.0.0/8, example", True),
        ("https://k.example", "k.example", True),
        ("https://K.Example", "k.example", True),
        ("https://k.example", "k.EXAMPLE:443", True),
        ("https://a.k.example", "k.example", True),
        ("https://notk.example", "k.example", False),
        ("https://k.example", ".k.example", False),
        ("https://a.k.example", ".k.example", True),
        ("https://k.example", "*.k.example", False),
        ("https://a.k.example", "*.k.example", True),
        ("https://k.example", "*", True),
        ("https://k.example", "", False),
        ("https://k.example", ",", False),
        ("https://k.example", "no/cidr", False),
    ],
)
def test_no_proxy_spares_names_domains_addresses_and_networks(server: str, no_proxy: str, *, spared: bool) -> None:
    assert proxy_for(server, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) == ("" if spared else PROXY)
    assert proxy_for(server, {"HTTPS_PROXY": PROXY, "no_proxy": no_proxy}) == ("" if spared else PROXY)
